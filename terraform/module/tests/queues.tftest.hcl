mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "helm" {}

variables {
  cluster_name = "cluster"
}

run "the_queue_has_the_settings_that_both_targets_share" {
  assert {
    condition     = aws_sqs_queue.work.visibility_timeout_seconds == yamldecode(file("../../deploy/settings.yaml")).queue.visibility_timeout_seconds
    error_message = "The visibility timeout must come from deploy/settings.yaml."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.work.redrive_policy).deadLetterTargetArn == aws_sqs_queue.dead.arn
    error_message = "Messages that fail must go to this dead-letter queue."
  }

  assert {
    condition     = aws_sqs_queue.dead.message_retention_seconds > aws_sqs_queue.work.message_retention_seconds
    error_message = "A moved message keeps the date of its first send: the dead-letter queue must keep it longer."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead.redrive_allow_policy).sourceQueueArns == [aws_sqs_queue.work.arn]
    error_message = "No other queue may dead-letter here."
  }

  assert {
    condition     = aws_sqs_queue.work.sqs_managed_sse_enabled && aws_sqs_queue.dead.sqs_managed_sse_enabled
    error_message = "The queues must be encrypted."
  }
}

run "a_fifo_queue_has_a_fifo_dead_letter_queue" {
  variables {
    fifo = true
  }

  assert {
    condition     = endswith(aws_sqs_queue.work.name, ".fifo") && endswith(aws_sqs_queue.dead.name, ".fifo") && aws_sqs_queue.dead.fifo_queue
    error_message = "A FIFO queue may only dead-letter to a FIFO queue."
  }
}

run "without_a_journal_there_is_no_journal_queue" {
  assert {
    condition     = output.journal_queue_url == null && !strcontains(output.kustomize_target, "JOURNAL_QUEUE_URL")
    error_message = "The journal is off unless asked for."
  }
}

run "the_overlay_gets_queue_image_and_region_without_hands" {
  variables {
    region  = "eu-west-1"
    journal = true
  }

  assert {
    condition = alltrue([
      for text in [
        "QUEUE_URL=${aws_sqs_queue.work.url}",
        "JOURNAL_QUEUE_URL=${aws_sqs_queue.journal[0].url}",
        "newName: ${aws_ecr_repository.worker.repository_url}",
        "value: eu-west-1",
      ] : strcontains(output.kustomize_target, text)
    ])
    error_message = "The output kustomize_target leaves something to be edited."
  }

  assert {
    condition     = can(yamldecode(output.kustomize_target))
    error_message = "The output kustomize_target is no YAML."
  }
}

run "a_customer_managed_key_is_used_and_allowed" {
  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/abc"
  }

  assert {
    condition     = aws_sqs_queue.work.kms_master_key_id == var.kms_key_arn && aws_sqs_queue.dead.kms_master_key_id == var.kms_key_arn
    error_message = "Both queues must use the key."
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.may["consume"].policy).Statement : statement.Resource == var.kms_key_arn
    ])
    error_message = "The worker must be allowed to use the key."
  }
}

run "alarms_watch_dead_letters_age_and_what_is_in_flight" {
  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.queue : key => alarm.dimensions.QueueName } == {
      dead-letters = "twinscale-dead", oldest-message = "twinscale", in-flight = "twinscale"
    }
    error_message = "An alarm watches the wrong queue."
  }
}
