# The one place where providers are configured. `terraform init` writes .terraform.lock.hcl beside this file: commit it.
terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
    helm = {
      source  = "hashicorp/helm"
      version = ">= 3.0, < 4.0"
    }
  }

  # Without a backend the state is a file on this machine. For more than one person:
  # backend "s3" {
  #   bucket       = "my-terraform-states"
  #   key          = "twinscale"
  #   region       = "us-east-1"
  #   use_lockfile = true
  # }
}

provider "aws" {
  region = local.region

  default_tags {
    tags = { Project = "twinscale" }
  }
}

# Installs KEDA where create_keda is set. The cluster is asked with and without it: a provider that loses its address
# once the switch is gone could not take the release away again.
data "aws_eks_cluster" "this" {
  name = local.cluster_name
}

data "aws_eks_cluster_auth" "this" {
  name = local.cluster_name
}

provider "helm" {
  kubernetes = {
    host                   = data.aws_eks_cluster.this.endpoint
    cluster_ca_certificate = try(base64decode(data.aws_eks_cluster.this.certificate_authority[0].data), null)
    token                  = data.aws_eks_cluster_auth.this.token
  }
}
