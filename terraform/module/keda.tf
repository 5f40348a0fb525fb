# KEDA itself, where the cluster has none (`create_keda = true`).
resource "helm_release" "keda" {
  count            = var.create_keda ? 1 : 0
  name             = "keda"
  repository       = "https://kedacore.github.io/charts"
  chart            = "keda"
  version          = var.keda_chart_version
  namespace        = var.keda_namespace
  create_namespace = true
  atomic           = true

  values = [yamlencode({
    serviceAccount = {
      operator = {
        name        = var.keda_service_account
        annotations = { for role in var.identity == "irsa" ? ["scale"] : [] : "eks.amazonaws.com/role-arn" => aws_iam_role.pod[role].arn }
      }
    }
  })]

  # The operator reads its identity when it starts.
  depends_on = [aws_eks_pod_identity_association.pod, aws_iam_role_policy.may]
}
