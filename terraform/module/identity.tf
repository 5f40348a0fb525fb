# Three identities, each for one service account, each with what it needs on these queues and nothing else.
# In IAM the batch calls are covered by the single ones: sqs:SendMessage allows SendMessageBatch, and so on.
locals {
  own_keda_role = var.keda_role_name == null

  accounts = merge(
    {
      consume = { namespace = var.namespace, account = "worker" }
      send    = { namespace = var.namespace, account = "sender" }
    },
    local.own_keda_role ? { scale = { namespace = var.keda_namespace, account = var.keda_service_account } } : {},
  )

  may_journal = [for queue in aws_sqs_queue.journal : {
    Sid = "Journal", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = queue.arn
  }]

  may_remember = [for table in aws_dynamodb_table.keys : {
    Sid = "Remember", Effect = "Allow", Action = ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], Resource = table.arn
  }]

  may_use_key = [for key in compact([var.kms_key_arn]) : {
    Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = key
    # Of these queues and this table: to nobody by itself.
    Condition = { StringEquals = { "kms:ViaService" = [for service in ["dynamodb", "sqs"] : "${service}.${var.region}.${local.suffix_of_aws}"] } }
  }]

  suffix_of_aws = startswith(var.region, "cn-") ? "amazonaws.com.cn" : "amazonaws.com"

  may_read_age = var.scale_on_message_age ? [{
    Sid = "Age", Effect = "Allow", Action = ["cloudwatch:GetMetricData"], Resource = "*" # CloudWatch has nothing finer
  }] : []

  statements = {
    consume = concat([
      {
        Sid      = "Consume"
        Effect   = "Allow"
        Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        Resource = aws_sqs_queue.work.arn
      },
      { Sid = "Reject", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = aws_sqs_queue.dead.arn },
    ], local.may_journal, local.may_remember, local.may_use_key)

    send = concat([
      { Sid = "Send", Effect = "Allow", Action = ["sqs:GetQueueAttributes", "sqs:SendMessage"], Resource = aws_sqs_queue.work.arn },
    ], local.may_journal, local.may_use_key)

    scale = concat([
      { Sid = "Count", Effect = "Allow", Action = ["sqs:GetQueueAttributes"], Resource = aws_sqs_queue.work.arn },
    ], local.may_read_age)
  }

  issuer = var.oidc_provider_arn == null ? "" : element(split("oidc-provider/", var.oidc_provider_arn), 1)

  trust_pod_identity = {
    Effect    = "Allow"
    Principal = { Service = "pods.eks.amazonaws.com" }
    Action    = ["sts:AssumeRole", "sts:TagSession"]
  }

  trust_irsa = { for key, at in local.accounts : key => {
    Effect    = "Allow"
    Principal = { Federated = var.oidc_provider_arn }
    Action    = "sts:AssumeRoleWithWebIdentity"
    Condition = {
      StringEquals = {
        "${local.issuer}:sub" = "system:serviceaccount:${at.namespace}:${at.account}"
        "${local.issuer}:aud" = "sts.amazonaws.com"
      }
    }
  } }
}

resource "aws_iam_role" "pod" {
  for_each    = local.accounts
  name        = "${var.name}-${each.key}"
  description = "${each.value.namespace}/${each.value.account} on cluster ${var.cluster_name}"

  # Two texts, since both arms of a condition must have one type.
  assume_role_policy = var.identity == "irsa" ? (
    jsonencode({ Version = "2012-10-17", Statement = [local.trust_irsa[each.key]] })
    ) : (
    jsonencode({ Version = "2012-10-17", Statement = [local.trust_pod_identity] })
  )
}

resource "aws_iam_role_policy" "may" {
  for_each = local.statements
  name     = "${var.name}-${each.key}"
  role     = each.key == "scale" && !local.own_keda_role ? var.keda_role_name : aws_iam_role.pod[each.key].name
  policy   = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

resource "aws_eks_pod_identity_association" "pod" {
  for_each        = var.identity == "pod-identity" ? local.accounts : {}
  cluster_name    = var.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.account
  role_arn        = aws_iam_role.pod[each.key].arn
}
