# What is refused, before anything is planned.
mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "helm" {}

variables {
  cluster_name = "cluster"
}

run "irsa_without_its_provider" {
  command = plan
  variables {
    identity = "irsa"
  }
  expect_failures = [var.oidc_provider_arn]
}

run "an_unknown_identity" {
  command = plan
  variables {
    identity = "node"
  }
  expect_failures = [var.identity]
}

run "an_image_tag_that_cannot_be_pushed_twice" {
  command = plan
  variables {
    image_tag = "latest"
  }
  expect_failures = [var.image_tag]
}

run "the_arn_of_a_cluster_where_its_name_belongs" {
  command = plan
  variables {
    cluster_name = "arn:aws:eks:us-east-1:123456789012:cluster/cluster"
  }
  expect_failures = [var.cluster_name]
}

run "a_name_that_no_queue_may_have" {
  command = plan
  variables {
    name = "Twin_Scale"
  }
  expect_failures = [var.name]
}

run "names_where_arns_belong_and_names_that_kubernetes_refuses" {
  command = plan
  variables {
    alarm_actions        = ["on-call"]
    keda_namespace       = "Keda"
    keda_service_account = "keda_operator"
    lambda_stack_name    = "1st"
    keda_chart_version   = "latest"
  }
  expect_failures = [
    var.alarm_actions, var.keda_namespace, var.keda_service_account, var.lambda_stack_name, var.keda_chart_version,
  ]
}

run "a_region_that_does_not_exist" {
  command = plan
  variables {
    region = "useast1"
  }
  expect_failures = [var.region]
}
