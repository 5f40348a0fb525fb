# The table by which a message has its effect once: only where it is asked for, and only for the worker.
mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "helm" {}

variables {
  cluster_name = "cluster"
}

run "there_is_no_table_unless_asked_for" {
  assert {
    condition     = length(aws_dynamodb_table.keys) == 0 && output.idempotency_table == null
    error_message = "A table costs money."
  }

  assert {
    condition     = !strcontains(output.kustomize_target, "IDEMPOTENCY_TABLE") && !strcontains(aws_iam_role_policy.may["consume"].policy, "dynamodb")
    error_message = "The worker is told of a table that is not there."
  }
}

run "the_table_is_what_the_worker_writes_to" {
  variables {
    idempotency = true
  }

  assert {
    condition = (
      aws_dynamodb_table.keys[0].hash_key == "id" &&
      { for attribute in aws_dynamodb_table.keys[0].attribute : attribute.name => attribute.type } == { id = "S" } &&
      aws_dynamodb_table.keys[0].ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.keys[0].ttl[0].enabled
    )
    error_message = "The worker writes the text `id`, and `expires_at` for the TTL (src/idempotency/dynamodb.rs)."
  }

  assert {
    condition     = aws_dynamodb_table.keys[0].billing_mode == "PAY_PER_REQUEST" && aws_dynamodb_table.keys[0].point_in_time_recovery[0].enabled
    error_message = "It is paid by the request, and can be brought back."
  }

  assert {
    condition     = strcontains(output.kustomize_target, "IDEMPOTENCY_TABLE=${aws_dynamodb_table.keys[0].name}")
    error_message = "The output kustomize_target leaves the table to be written by hand."
  }

  assert {
    condition     = output.idempotency_table == aws_dynamodb_table.keys[0].name
    error_message = "The output names another table."
  }
}

run "the_worker_alone_may_write_to_the_table_alone" {
  variables {
    idempotency = true
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.may["consume"].policy).Statement : statement if statement.Sid == "Remember"
      ] == [{
        Sid      = "Remember"
        Effect   = "Allow"
        Action   = ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.keys[0].arn
    }]
    error_message = "The role consume may do other things to the table than the worker does."
  }

  assert {
    condition = [
      for key, policy in aws_iam_role_policy.may : key if strcontains(policy.policy, "dynamodb:")
    ] == ["consume"]
    error_message = "Another role than consume reaches the table."
  }
}

run "a_customer_managed_key_encrypts_the_table_too" {
  variables {
    idempotency = true
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/abc"
  }

  assert {
    condition     = aws_dynamodb_table.keys[0].server_side_encryption[0].kms_key_arn == var.kms_key_arn
    error_message = "The table must use the key."
  }
}

run "the_table_is_protected_from_an_apply_without_its_switch" {
  variables {
    idempotency = true
  }

  assert {
    condition     = aws_dynamodb_table.keys[0].deletion_protection_enabled
    error_message = "An apply that forgets the switch would take the table."
  }
}
