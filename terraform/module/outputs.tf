output "queue_url" {
  description = "The queue that the worker consumes: QUEUE_URL, --eks-queue-url."
  value       = aws_sqs_queue.work.url
}

output "dead_letter_queue_url" {
  description = "Where rejected and given-up messages go."
  value       = aws_sqs_queue.dead.url
}

output "journal_queue_url" {
  description = "The journal's queue, --journal-queue-url; null without one."
  value       = one(aws_sqs_queue.journal[*].url)
}

output "idempotency_table" {
  description = "The table of done messages: IDEMPOTENCY_TABLE; null without one."
  value       = one(aws_dynamodb_table.keys[*].name)
}

output "repository_url" {
  description = "Push the image here."
  value       = aws_ecr_repository.worker.repository_url
}

output "role_arns" {
  description = "The role of each identity that this module made: consume, send, scale."
  value       = { for key, role in aws_iam_role.pod : key => role.arn }
}

output "keda_identity" {
  description = "With IRSA and a KEDA that was there before: the commands that give its operator the role. Null where nothing is to do."
  value = var.identity == "irsa" && !var.create_keda && local.own_keda_role ? join("\n", [
    "kubectl -n ${var.keda_namespace} annotate --overwrite serviceaccount ${var.keda_service_account} eks.amazonaws.com/role-arn=${aws_iam_role.pod["scale"].arn}",
    "kubectl -n ${var.keda_namespace} rollout restart deployment keda-operator",
  ]) : null
}

output "dashboard" {
  description = "Name of the CloudWatch dashboard that shows both targets; null without one."
  value       = one(aws_cloudwatch_dashboard.twins[*].dashboard_name)
}

output "kustomize_target" {
  description = "What eks/overlays/production/target/kustomization.yaml has to be."
  value = templatefile("${path.module}/target.yaml.tftpl", {
    name      = var.name
    namespace = var.namespace
    region    = var.region
    image     = aws_ecr_repository.worker.repository_url
    tag       = var.image_tag
    literals = concat(
      [
        "QUEUE_URL=${aws_sqs_queue.work.url}",
        "DLQ_URL=${aws_sqs_queue.dead.url}",
        "AWS_REGION=${var.region}",
      ],
      [for url in aws_sqs_queue.journal[*].url : "JOURNAL_QUEUE_URL=${url}"],
      [for table in aws_dynamodb_table.keys[*].name : "IDEMPOTENCY_TABLE=${table}"],
    )
    # With IRSA the service accounts name their roles; EKS Pod Identity keeps that outside of the cluster.
    irsa = var.identity == "irsa" ? { worker = aws_iam_role.pod["consume"].arn, sender = aws_iam_role.pod["send"].arn } : {}
  })
}
