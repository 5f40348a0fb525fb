# KEDA is installed only when asked for, under the name that its role is bound to.
mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "helm" {}

variables {
  cluster_name = "cluster"
}

run "a_cluster_that_has_keda_is_left_alone" {
  assert {
    condition     = length(helm_release.keda) == 0 && output.keda_identity == null
    error_message = "Nothing must be installed, nor anything be left to do, without create_keda."
  }
}

run "with_irsa_an_operator_that_is_there_has_to_be_told_its_role" {
  variables {
    identity          = "irsa"
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
  }

  assert {
    condition     = strcontains(output.keda_identity, "annotate --overwrite serviceaccount keda-operator eks.amazonaws.com/role-arn=${aws_iam_role.pod["scale"].arn}")
    error_message = "Without the annotation the operator has no identity."
  }
}

run "the_operator_runs_as_the_account_that_the_role_is_bound_to" {
  variables {
    create_keda          = true
    keda_namespace       = "scaling"
    keda_service_account = "keda"
  }

  assert {
    condition     = yamldecode(helm_release.keda[0].values[0]).serviceAccount.operator.name == aws_eks_pod_identity_association.pod["scale"].service_account
    error_message = "The association names another service account."
  }

  assert {
    condition     = helm_release.keda[0].namespace == aws_eks_pod_identity_association.pod["scale"].namespace
    error_message = "The association names another namespace."
  }
}

run "with_irsa_the_operators_account_names_its_role" {
  variables {
    create_keda       = true
    identity          = "irsa"
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
  }

  assert {
    condition     = yamldecode(helm_release.keda[0].values[0]).serviceAccount.operator.annotations == { "eks.amazonaws.com/role-arn" = aws_iam_role.pod["scale"].arn }
    error_message = "Without the annotation the operator has no identity."
  }
}

run "an_operator_installed_here_has_no_role_from_elsewhere" {
  command = plan
  variables {
    create_keda    = true
    keda_role_name = "keda-operator-of-the-platform"
  }
  expect_failures = [var.create_keda]
}
