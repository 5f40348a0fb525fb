terraform {
  required_version = ">= 1.9, < 2.0" # 1.9: a variable's validation may look at other variables

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
    helm = { # idle unless create_keda
      source  = "hashicorp/helm"
      version = ">= 3.0, < 4.0"
    }
  }
}
