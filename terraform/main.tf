# One installation. What stands here is all that plan, apply and destroy know: write every switch here, none on the command line.
# variables.tf of the module says what there is.
locals {
  region       = "us-east-1"
  cluster_name = "my-cluster"
}

module "twinscale" {
  source = "./module" # elsewhere: "git::https://github.com/twinscale/twinscale//terraform/module?ref=v0.1.0"

  region       = local.region
  cluster_name = local.cluster_name
  # namespace     = "orders"
  # create_keda   = true
  # journal       = true
  # idempotency   = true
  # fifo          = true
  # alarm_actions = ["arn:aws:sns:us-east-1:123456789012:on-call"]
  # identity          = "irsa"
  # oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE"
}
