# Both targets side by side: EKS on the left, Lambda on the right, the same rows.
locals {
  columns = [
    { x = 0, title = "EKS", queue = aws_sqs_queue.work.name },
    { x = 12, title = "Lambda", queue = var.lambda_stack_name },
  ]

  queue_rows = [
    { title = "waiting and in flight", metrics = ["ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"], stat = "Maximum" },
    { title = "age of the oldest message (s)", metrics = ["ApproximateAgeOfOldestMessage"], stat = "Maximum" },
    { title = "sent, received, deleted, empty receives", metrics = ["NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted", "NumberOfEmptyReceives"], stat = "Sum" },
  ]

  queue_widgets = flatten([
    for y, row in local.queue_rows : [
      for column in local.columns : {
        type   = "metric"
        x      = column.x
        y      = y * 6
        width  = 12
        height = 6
        properties = {
          title   = "${column.title}: ${row.title}"
          region  = var.region
          view    = "timeSeries"
          stat    = row.stat
          period  = 60
          metrics = [for metric in row.metrics : ["AWS/SQS", metric, "QueueName", column.queue]]
        }
      }
    ]
  ])

  capacity_y = length(local.queue_rows) * 6

  # Only Container Insights counts pods; without it the panel would stay empty.
  pods_widgets = var.container_insights ? [
    {
      type   = "metric"
      x      = 0
      y      = local.capacity_y
      width  = 12
      height = 6
      properties = {
        title   = "EKS: pods"
        region  = var.region
        view    = "timeSeries"
        stat    = "Maximum"
        period  = 60
        metrics = [["ContainerInsights", "replicas_ready", "ClusterName", var.cluster_name, "Namespace", var.namespace, "PodName", "worker"]]
      }
    },
  ] : []

  function_widgets = [
    {
      type   = "metric"
      x      = 12
      y      = local.capacity_y
      width  = 12
      height = 6
      properties = {
        title  = "Lambda: concurrent invocations, errors, throttles"
        region = var.region
        view   = "timeSeries"
        stat   = "Maximum"
        period = 60
        metrics = [
          for metric in ["ConcurrentExecutions", "Errors", "Throttles"] :
          ["AWS/Lambda", metric, "FunctionName", "${var.lambda_stack_name}-sqs"]
        ]
      }
    },
  ]
}

resource "aws_cloudwatch_dashboard" "twins" {
  count          = var.dashboard ? 1 : 0
  dashboard_name = var.name
  dashboard_body = jsonencode({ widgets = concat(local.queue_widgets, local.pods_widgets, local.function_widgets) })
}
