# What the module needs. It configures no provider: a module that does can be neither counted nor taken away.
terraform {
  required_version = ">= 1.9, < 2.0" # 1.9: a variable's validation may look at other variables

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
    helm = { # idle without create_keda
      source  = "hashicorp/helm"
      version = ">= 3.0, < 4.0"
    }
  }
}
