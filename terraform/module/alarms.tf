locals {
  alarms = {
    dead-letters = {
      description = "Messages were given up: look at the dead-letter queue, repair, then redrive."
      queue       = aws_sqs_queue.dead.name
      metric      = "ApproximateNumberOfMessagesVisible"
      above       = 0
    }
    oldest-message = {
      description = "The workers do not keep up, or there are none."
      queue       = aws_sqs_queue.work.name
      metric      = "ApproximateAgeOfOldestMessage"
      above       = var.oldest_message_seconds
    }
    in-flight = {
      description = "SQS gives out no more than about 120,000 messages at once: receives will soon come back empty."
      queue       = aws_sqs_queue.work.name
      metric      = "ApproximateNumberOfMessagesNotVisible"
      above       = 100000
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "queue" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/SQS"
  metric_name         = each.value.metric
  dimensions          = { QueueName = each.value.queue }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  treat_missing_data  = "notBreaching" # SQS stops reporting a queue that nobody used for six hours
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}
