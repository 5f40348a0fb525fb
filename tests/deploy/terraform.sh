#!/usr/bin/env bash
# terraform/: formatting, types, tests, a plan and its checkov, of the module and of the root that ships with it.
# Leaves $work/plan.json, $work/state.json and $work/target.yaml.
. "$(dirname "$0")/common.sh"
wants terraform

export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1
root=$PWD/terraform
# The root with every switch on that has no say in who the pods are, as a user writes it.
installation=$work/installation
rm -rf "$work"/terraform-* "$work"/terraform.tfstate* "$work/terraformrc" "$installation"
mkdir "$installation"
cp -r terraform deploy "$installation/"
for switch in journal idempotency; do sed -i "s/# $switch /$switch /" "$installation/terraform/main.tf"; done

tf() { TF_DATA_DIR=$work/terraform-$(echo "$1" | md5sum | cut -c1-8) terraform -chdir="$1" "${@:2}"; }
quietly() { "$@" > "$work/terraform.log" 2>&1 || { cat "$work/terraform.log" && fail "$*"; }; }
terraform -chdir="$root" fmt -check -recursive > /dev/null 2>&1 || fail "terraform fmt -recursive terraform changes something"

if curl -sfo /dev/null -m 5 https://registry.terraform.io/.well-known/terraform.json; then
    say "terraform with its real providers"
    stub=no
    for folder in "$root" "$root/module"; do quietly tf "$folder" init -backend=false -input=false -no-color; done
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
    for folder in "$root" "$installation/terraform"; do quietly tf "$folder" get; done
fi

for folder in "$root" "$root/module"; do
    quietly tf "$folder" validate -no-color
    quietly tf "$folder" test -no-color
    say "terraform test, $(basename "$folder"): $(grep -o '[0-9]* passed, [0-9]* failed' "$work/terraform.log")"
done
# What a module must not do: a caller could neither count it nor take it away.
! grep -n '^provider ' "$root"/module/*.tf || fail "terraform/module configures a provider"

# No account to plan against: the plan wants nothing from AWS but what the provider computes.
if [ "$stub" = yes ]; then
    quietly tf "$installation/terraform" plan -no-color -input=false -out "$work/plan"
    tf "$installation/terraform" show -json "$work/plan" > "$work/plan.json" 2> /dev/null
    quietly tf "$root/module" plan -no-color -input=false -var cluster_name=my-cluster -var create_keda=true -var dashboard=true -var container_insights=true
    quietly tf "$installation/terraform" apply -no-color -input=false -auto-approve -state="$work/terraform.tfstate"
    tf "$installation/terraform" show -json "$work/terraform.tfstate" > "$work/state.json" 2> /dev/null
    tf "$installation/terraform" output -state="$work/terraform.tfstate" -raw kustomize_target > "$work/target.yaml" 2> /dev/null
    python3 "$here/state_fixture.py" "$work/state.json" | diff crates/lab/tests/validate/state.json - \
        || fail "crates/lab/tests/validate/state.json is not what terraform makes now: write what state_fixture.py prints"
    # KEDA installed once, as a user switches it on: a later plan knows of it and has nothing to do, and so does destroy,
    # which takes the release away.
    keeper=$work/installation-keda
    rm -rf "$keeper"
    mkdir "$keeper"
    cp -r terraform deploy "$keeper/"
    sed -i 's/# create_keda /create_keda /' "$keeper/terraform/main.tf"
    quietly tf "$keeper/terraform" get
    quietly tf "$keeper/terraform" apply -no-color -input=false -auto-approve
    quietly tf "$keeper/terraform" plan -no-color -input=false -detailed-exitcode
    quietly tf "$keeper/terraform" plan -no-color -input=false -destroy
    grep -q 'helm_release.keda\[0\] will be destroyed' "$work/terraform.log" || fail "destroy has forgotten the release of KEDA"
    say "terraform: what create_keda installed is in the next plan, and in destroy's"
    # CKV_AWS_136, 119: images and ids of messages are no secrets; AES-256 with AWS's own keys costs nothing.
    "$checks/checkov" --skip-download --quiet --compact -f "$work/plan.json" --framework terraform_plan --skip-check CKV_AWS_136,CKV_AWS_119
else
    left_out "terraform plan, checkov on it and validate on its state: the real provider plans only with AWS credentials"
fi
