#!/usr/bin/env bash
# terraform/: formatting, types, tests, a plan and its checkov. Leaves $work/plan.json and $work/state.json.
. "$(dirname "$0")/common.sh"
wants terraform

export CHECKPOINT_DISABLE=1 TF_DATA_DIR=$work/terraform TF_IN_AUTOMATION=1
module=$PWD/terraform
rm -rf "$TF_DATA_DIR" "$work"/terraform.tfstate*
terraform -chdir="$module" fmt -check -recursive > /dev/null 2>&1 || fail "terraform fmt -recursive terraform changes something"

if curl -sfo /dev/null -m 5 https://registry.terraform.io/.well-known/terraform.json; then
    say "terraform with its real providers"
    stub=no
    terraform -chdir="$module" init -backend=false -input=false -no-color > "$work/init.log"
else
    say "terraform with schema stubs of its providers: their registry is out of reach"
    left_out "terraform: planned and applied against the schemas of its providers (types, required arguments), not against the providers (enums, conflicts); KEDA's chart was not installed"
    stub=yes
    cat > "$work/terraformrc" <<RC
disable_checkpoint = true
provider_installation {
  dev_overrides {
    "hashicorp/aws"  = "$tools/provider/aws"
    "hashicorp/helm" = "$tools/provider/helm"
  }
  direct {}
}
RC
    export TF_CLI_CONFIG_FILE=$work/terraformrc
    terraform -chdir="$module" get > /dev/null
fi

quietly() { "$@" > "$work/terraform.log" 2>&1 || { cat "$work/terraform.log" && fail "$*"; }; }
quietly terraform -chdir="$module" validate -no-color
quietly terraform -chdir="$module" test -no-color
say "terraform test: $(grep -o '[0-9]* passed, [0-9]* failed' "$work/terraform.log")"

# No account to plan against: the example's plan wants nothing from AWS but what the provider computes.
if [ "$stub" = yes ]; then
    example=(-no-color -input=false -var-file examples/production.tfvars)
    everything=("${example[@]}" -var journal=true -var idempotency=true)
    quietly terraform -chdir="$module" plan "${everything[@]}" -out "$work/plan"
    terraform -chdir="$module" show -json "$work/plan" > "$work/plan.json" 2> /dev/null
    quietly terraform -chdir="$module" plan "${example[@]}" -var create_keda=true
    quietly terraform -chdir="$module" apply "${everything[@]}" -auto-approve -state="$work/terraform.tfstate"
    terraform -chdir="$module" show -json "$work/terraform.tfstate" > "$work/state.json" 2> /dev/null
    terraform -chdir="$module" output -state="$work/terraform.tfstate" -raw kustomize_target > "$work/target.yaml" 2> /dev/null
    # CKV_AWS_136, 119: images and ids of messages are no secrets; AES-256 with AWS's own keys costs nothing.
    "$checks/checkov" --skip-download --quiet --compact -f "$work/plan.json" --framework terraform_plan --skip-check CKV_AWS_136,CKV_AWS_119
else
    left_out "terraform plan, checkov on it and validate on its state: the real provider plans only with AWS credentials"
fi
