# What the module tells, by the names that `twinscale compare --from-terraform` and docs/deploy.md ask for.
output "queue_url" {
  value = module.twinscale.queue_url
}

output "dead_letter_queue_url" {
  value = module.twinscale.dead_letter_queue_url
}

output "journal_queue_url" {
  value = module.twinscale.journal_queue_url
}

output "idempotency_table" {
  value = module.twinscale.idempotency_table
}

output "repository_url" {
  value = module.twinscale.repository_url
}

output "role_arns" {
  value = module.twinscale.role_arns
}

output "keda_identity" {
  value = module.twinscale.keda_identity
}

output "dashboard" {
  value = module.twinscale.dashboard
}

output "kustomize_target" {
  value = module.twinscale.kustomize_target
}
