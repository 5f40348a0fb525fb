resource "aws_sqs_queue" "work" {
  name                        = "${var.name}${local.suffix}"
  fifo_queue                  = var.fifo
  content_based_deduplication = var.fifo ? true : null
  deduplication_scope         = var.fifo ? "messageGroup" : null
  fifo_throughput_limit       = var.fifo ? "perMessageGroupId" : null
  visibility_timeout_seconds  = local.queue.visibility_timeout_seconds
  message_retention_seconds   = local.queue.retention_seconds
  receive_wait_time_seconds   = 20
  sqs_managed_sse_enabled     = var.kms_key_arn == null ? true : null
  kms_master_key_id           = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = local.queue.max_receive_count
  })
}

resource "aws_sqs_queue" "dead" {
  name       = "${var.name}-dead${local.suffix}"
  fifo_queue = var.fifo
  # As the work queue has it: what is rejected in one group says nothing of another.
  deduplication_scope       = var.fifo ? "messageGroup" : null
  fifo_throughput_limit     = var.fifo ? "perMessageGroupId" : null
  message_retention_seconds = local.queue.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
}

# Only the work queue may name this one as its dead-letter queue.
resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.url
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.work.arn]
  })
}

resource "aws_sqs_queue" "journal" {
  count                     = var.journal ? 1 : 0
  name                      = "${var.name}-journal"
  message_retention_seconds = local.queue.retention_seconds
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
}

locals {
  queues = merge(
    { work = aws_sqs_queue.work, dead = aws_sqs_queue.dead },
    var.journal ? { journal = aws_sqs_queue.journal[0] } : {},
  )
}

resource "aws_sqs_queue_policy" "tls_only" {
  for_each  = local.queues
  queue_url = each.value.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "RefusePlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = each.value.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
