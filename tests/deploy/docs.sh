#!/usr/bin/env bash
# docs/deploy.md, command by command, in a copy of this repository, with an emulator of AWS: each command of its shell blocks runs as
# it stands there, or stands in the list below with the reason. What is in neither, or only in the list, fails.
# With DOCS_KUBECONFIG (make keda-docs has one) what wants an API server runs too.
. "$(dirname "$0")/common.sh"
wants terraform
wants kubectl

page=docs/deploy.md
cluster=${DOCS_KUBECONFIG:-}
export KUBECONFIG=${cluster:-/nonexistent} # never a cluster of one's own
# A command's beginning, and why it does not run here.
not_here=(
    "aws ecr get-login-password |wants docker's daemon and a registry by TLS: emulator.sh logs in to the emulator's with podman"
    "docker build |image.sh builds the image, and emulator.sh pushes it"
    "sam build|emulator.sh runs it, for this machine's architecture"
    "sam deploy|emulator.sh runs it against the emulator"
    "twinscale compare --engine aws |wants both targets with a journal, and pods: emulator.sh runs it so"
)
# What wants an API server, and what kubectl can try without one.
in_a_cluster=("kubectl -n kube-system get " "kubectl -n twinscale get " "kubectl apply ")
tried=("kubectl create " "kubectl -n twinscale create ")

# Every command on a line of its own, behind the number of its block: continued lines are joined.
commands() {
    awk '/^```/ { if ($0 == "```sh") { block++; inside = 1 } else inside = 0; next }
        inside && NF { line = line $0; if (sub(/\\$/, "", line)) next; print block "\t" line; line = "" }' "$page"
}
reason() {
    local entry
    for entry in "${not_here[@]}"; do
        if [[ $1 == "${entry%%|*}"* ]]; then printf '%s' "${entry#*|}" && return; fi
    done
    [ -z "$cluster" ] || return 0
    for entry in "${in_a_cluster[@]}"; do
        if [[ $1 == "$entry"* ]]; then printf 'wants an API server: make keda-docs has one' && return; fi
    done
}
# The command as it runs here: with its objects tried by kubectl alone where there is no API server, and without changing the
# context of the one that there is.
as_run() {
    local entry
    case $1 in "aws eks update-kubeconfig "*) printf 'KUBECONFIG=%s ' "$copy/kubeconfig" ;; esac
    printf '%s' "$1"
    [ -z "$cluster" ] || return 0
    for entry in "${tried[@]}"; do
        if [[ $1 == "$entry"* ]]; then printf ' --dry-run=client'; fi
    done
}

copy=$work/documented
rm -rf "$copy"
mkdir -p "$copy/bin"
cp -r terraform deploy eks sam Cargo.toml "$copy/"
ln -s "$(realpath "$twinscale")" "$copy/bin/twinscale"
export PATH=$copy/bin:$tools/aws/bin:$PATH CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1
export TF_CLI_ARGS_apply="-auto-approve -input=false -no-color" TF_CLI_ARGS_init="-input=false -no-color"
# The providers' stand-ins as `terraform init` finds them on a mirror. The real ones apply only with an account.
if [ ! -e "$work/terraformrc" ]; then
    left_out "docs: the real providers of terraform apply only with AWS credentials"
    exit 0
fi
platform=linux_$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
for provider in aws:6.99.0 helm:3.99.0; do
    folder=$copy/providers/registry.terraform.io/hashicorp/${provider%:*}/${provider#*:}/$platform
    mkdir -p "$folder"
    cp "$tools/provider/${provider%:*}/terraform-provider-${provider%:*}" "$folder/"
done
printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$copy/providers" > "$copy/terraformrc"
export TF_CLI_CONFIG_FILE=$copy/terraformrc

endpoint=http://127.0.0.1:4568
emulate "$endpoint" "$work/documented-ministack.log"
trap 'kill "$emulator"' EXIT
export AWS_ENDPOINT_URL=$endpoint
# The cluster that has to be there.
cloud() { "$tools/aws/bin/aws" "$@"; }
role=$(cloud iam create-role --role-name cluster --assume-role-policy-document '{}' --query Role.Arn --output text)
cloud eks create-cluster --name my-cluster --role-arn "$role" --resources-vpc-config subnetIds=subnet-1,subnet-2 > "$copy/log"

left=0 ran=0
block=0
script=$copy/script.sh
run_block() {
    [ -s "$script" ] || return 0
    (cd "$copy" && bash -euo pipefail "$script") > "$copy/log" 2>&1 || { tail -20 "$copy/log" && fail "$page: a command of this block failed: $(cat "$script")"; }
    : > "$script"
}
: > "$script"
while IFS=$'\t' read -r number command; do
    [ "$number" = "$block" ] || run_block
    block=$number
    why=$(reason "$command")
    if [ -n "$why" ]; then
        left=$((left + 1))
        left_out "docs: ${command%% --*}: $why"
    else
        printf '%s\n' "$(as_run "$command")" >> "$script"
        ran=$((ran + 1))
    fi
done < <(commands)
run_block

for entry in "${not_here[@]}" "${in_a_cluster[@]}" "${tried[@]}"; do
    commands | cut -f 2 | awk -v entry="${entry%%|*}" 'index($0, entry) == 1 { found = 1 } END { exit !found }' \
        || fail "$page has no command that begins with '${entry%%|*}': take it off the list of $0"
done
aws=$(kubectl --kubeconfig "$copy/kubeconfig" config current-context)
[[ $aws == *:cluster/my-cluster ]] || fail "aws eks update-kubeconfig wrote the context '$aws'"
[ "$ran" -ge 12 ] || fail "only $ran commands of $page ran"
say "docs: $ran commands of $page ran, $left did not"
