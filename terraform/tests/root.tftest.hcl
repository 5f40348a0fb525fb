# The installation as it stands: providers are configured here alone, and stay so when a switch goes.
mock_provider "aws" {
  source = "./module/tests/mocks"
}

mock_provider "helm" {}

run "the_providers_of_a_release_outlive_its_switch" {
  assert {
    condition     = data.aws_eks_cluster.this.name == local.cluster_name && data.aws_eks_cluster_auth.this.name == local.cluster_name
    error_message = "Without create_keda the helm provider would lose its cluster, and with it the release."
  }
}

run "what_the_commands_ask_for_is_an_output" {
  assert {
    condition     = output.queue_url != null && output.repository_url != null && output.kustomize_target != null && output.journal_queue_url == null
    error_message = "docs/deploy.md and compare --from-terraform read these."
  }
}
