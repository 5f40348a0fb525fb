# terraform apply -var-file examples/production.tfvars
cluster_name = "my-cluster"
region       = "us-east-1"
journal      = false
idempotency  = false
# alarm_actions = ["arn:aws:sns:us-east-1:123456789012:on-call"]
# create_keda   = true
# identity          = "irsa"
# oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE"
