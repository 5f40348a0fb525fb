# Least privilege, read from the documents that would be sent to IAM.
mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "helm" {}

variables {
  cluster_name = "cluster"
  journal      = true
}

run "the_worker_may_consume_its_queue_and_reject_and_nothing_else" {
  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.may["consume"].policy).Statement : statement.Sid => statement.Action
      } == {
      Consume = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      Reject  = ["sqs:SendMessage"]
      Journal = ["sqs:SendMessage"]
    }
    error_message = "The role consume has other actions than it needs."
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.may["consume"].policy).Statement : statement.Sid => statement.Resource
      } == {
      Consume = aws_sqs_queue.work.arn
      Reject  = aws_sqs_queue.dead.arn
      Journal = aws_sqs_queue.journal[0].arn
    }
    error_message = "The role consume reaches other queues than its own."
  }
}

run "keda_may_read_the_counts_of_this_queue_alone" {
  assert {
    condition = jsondecode(aws_iam_role_policy.may["scale"].policy).Statement == [
      { Sid = "Count", Effect = "Allow", Action = ["sqs:GetQueueAttributes"], Resource = aws_sqs_queue.work.arn },
    ]
    error_message = "The role scale may do more than count."
  }

  assert {
    condition = {
      for key, association in aws_eks_pod_identity_association.pod : key => "${association.namespace}/${association.service_account}"
    } == { consume = "twinscale/worker", send = "twinscale/sender", scale = "keda/keda-operator" }
    error_message = "Each identity belongs to one service account."
  }
}

run "no_statement_names_a_wildcard" {
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.may : [
        for statement in jsondecode(policy.policy).Statement :
        !strcontains(jsonencode(statement.Action), "*") && !strcontains(jsonencode(statement.Resource), "*")
      ]
    ]))
    error_message = "A permission is wider than its queue."
  }
}

run "plain_http_is_refused_on_every_queue" {
  assert {
    condition     = toset(keys(aws_sqs_queue_policy.tls_only)) == toset(["work", "dead", "journal"])
    error_message = "A queue has no policy."
  }

  assert {
    condition = alltrue([
      for policy in aws_sqs_queue_policy.tls_only :
      jsondecode(policy.policy).Statement[0].Effect == "Deny" &&
      jsondecode(policy.policy).Statement[0].Condition == { Bool = { "aws:SecureTransport" = "false" } }
    ])
    error_message = "A queue accepts plain HTTP."
  }
}

run "an_operator_that_has_a_role_keeps_it" {
  variables {
    keda_role_name = "keda-operator-of-the-platform"
  }

  assert {
    condition     = aws_iam_role_policy.may["scale"].role == "keda-operator-of-the-platform"
    error_message = "The policy must go to the role that exists."
  }

  assert {
    condition     = !contains(keys(aws_iam_role.pod), "scale") && !contains(keys(aws_eks_pod_identity_association.pod), "scale")
    error_message = "A second role must not be bound to the operator."
  }
}

run "irsa_trusts_one_service_account_each" {
  variables {
    identity          = "irsa"
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
  }

  assert {
    condition = jsondecode(aws_iam_role.pod["consume"].assume_role_policy).Statement[0].Condition.StringEquals == {
      "oidc.eks.us-east-1.amazonaws.com/id/ABC:sub" = "system:serviceaccount:twinscale:worker"
      "oidc.eks.us-east-1.amazonaws.com/id/ABC:aud" = "sts.amazonaws.com"
    }
    error_message = "The trust must name the service account and the audience."
  }

  assert {
    condition     = length(aws_eks_pod_identity_association.pod) == 0
    error_message = "IRSA needs no associations."
  }

  assert {
    condition     = strcontains(output.kustomize_target, "eks.amazonaws.com/role-arn: ${aws_iam_role.pod["consume"].arn}")
    error_message = "With IRSA the overlay names the roles."
  }
}
