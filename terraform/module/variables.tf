variable "name" {
  description = "Name of the queue, and prefix of everything else."
  type        = string
  default     = "twinscale"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,39}$", var.name))
    error_message = "name: 2 to 40 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "region" {
  description = "Region of the queues and of the cluster."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: write it like us-east-1."
  }
}

variable "cluster_name" {
  description = "An existing EKS cluster that runs KEDA."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name: the name of an EKS cluster, not its ARN."
  }
}

variable "namespace" {
  description = "Kubernetes namespace of the worker and the sender."
  type        = string
  default     = "twinscale"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace: up to 63 lower-case letters, digits and hyphens."
  }
}

variable "identity" {
  description = "How pods get their role: pod-identity (EKS Pod Identity; the cluster needs its agent add-on) or irsa (an OIDC provider)."
  type        = string
  default     = "pod-identity"

  validation {
    condition     = contains(["pod-identity", "irsa"], var.identity)
    error_message = "identity: pod-identity or irsa."
  }
}

variable "oidc_provider_arn" {
  description = "The cluster's IAM OIDC provider. Only for identity = irsa."
  type        = string
  default     = null

  validation {
    condition     = var.identity != "irsa" || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/.+$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn: identity = irsa needs the ARN of the cluster's OIDC provider, arn:aws:iam::ACCOUNT:oidc-provider/…"
  }
}

variable "create_keda" {
  description = "Installs KEDA's Helm chart. For a cluster that has no KEDA yet, and an API that is in reach from here."
  type        = bool
  default     = false

  validation {
    condition     = !(var.create_keda && var.keda_role_name != null)
    error_message = "create_keda: an operator that is installed here gets a role of its own; leave keda_role_name out."
  }
}

variable "keda_chart_version" {
  description = "Version of KEDA's Helm chart, which is KEDA's own version. Only for create_keda."
  type        = string
  default     = "2.21.0"

  validation {
    condition     = can(regex("^2\\.[0-9]+\\.[0-9]+$", var.keda_chart_version))
    error_message = "keda_chart_version: a whole version of KEDA 2, such as 2.21.0."
  }
}

variable "keda_namespace" {
  description = "Namespace of KEDA's operator."
  type        = string
  default     = "keda"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.keda_namespace))
    error_message = "keda_namespace: up to 63 lower-case letters, digits and hyphens."
  }
}

variable "keda_service_account" {
  description = "Service account of KEDA's operator."
  type        = string
  default     = "keda-operator"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.keda_service_account))
    error_message = "keda_service_account: lower-case letters, digits, dots and hyphens."
  }
}

variable "keda_role_name" {
  description = "The role that KEDA's operator already has. It gets a policy for this queue; when null, a role is made and bound to the operator."
  type        = string
  default     = null
}

variable "scale_on_message_age" {
  description = "Lets KEDA read CloudWatch too, for the component message-age."
  type        = bool
  default     = false
}

variable "fifo" {
  description = "A FIFO queue with high throughput, keyed by message group."
  type        = bool
  default     = false
}

variable "journal" {
  description = "A queue for the journal, which `twinscale compare --engine aws` reads. It costs one request a message while it is on."
  type        = bool
  default     = false
}

variable "idempotency" {
  description = "A DynamoDB table by which the worker gives each message its effect once. It costs two writes a message."
  type        = bool
  default     = false
}

variable "protect_table" {
  description = "Deletion protection of the idempotency table. Apply with false before destroying it."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "A customer managed key for the queues and the idempotency table. When null, AWS's own keys encrypt them, at no charge."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "kms_key_arn: the ARN of a KMS key."
  }
}

variable "image_tag" {
  description = "Tag of the image that the overlay runs. Tags of the repository are immutable."
  type        = string
  default     = "0.1.0"

  validation {
    condition     = can(regex("^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "image_tag: a version or a commit; latest says nothing and cannot be pushed twice."
  }
}

variable "alarm_actions" {
  description = "ARNs that alarms notify, such as an SNS topic."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for action in var.alarm_actions : startswith(action, "arn:aws")])
    error_message = "alarm_actions: ARNs, such as arn:aws:sns:REGION:ACCOUNT:TOPIC."
  }
}

variable "oldest_message_seconds" {
  description = "Age of the oldest message above which an alarm is raised."
  type        = number
  default     = 900

  validation {
    condition     = var.oldest_message_seconds >= 60
    error_message = "oldest_message_seconds: 60 or more; CloudWatch sees the queue once a minute."
  }
}

variable "dashboard" {
  description = "A CloudWatch dashboard of both targets: 3 USD a month, beyond the account's first three."
  type        = bool
  default     = false
}

variable "container_insights" {
  description = "The cluster has the add-on amazon-cloudwatch-observability, which counts pods: a panel of the dashboard shows them."
  type        = bool
  default     = false
}

variable "lambda_stack_name" {
  description = "Name of the SAM stack of the Lambda twin, shown beside this target on the dashboard."
  type        = string
  default     = "twinscale-lambda"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,127}$", var.lambda_stack_name))
    error_message = "lambda_stack_name: the name of a CloudFormation stack."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
