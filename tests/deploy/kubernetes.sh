#!/usr/bin/env bash
# eks/: every overlay rendered, strict against the schemas of Kubernetes and KEDA, checkov, hadolint, twinscale validate.
. "$(dirname "$0")/common.sh"
wants kubectl

overlays() {
    local overlay
    for overlay in eks/overlays/*/; do basename "$overlay"; done
}

# Each optional component of production, switched on as a user does it, so that none rots.
component() {
    local copy=$work/component-$1
    rm -rf "$copy"
    cp -r eks "$copy"
    sed -i "s|# - ../../components/$1\$|- ../../components/$1|" "$copy/overlays/production/kustomization.yaml"
    kubectl kustomize "$copy/overlays/production" > "$work/production+$1.yaml"
    ! cmp -s "$work/production.yaml" "$work/production+$1.yaml" || fail "component $1 changes nothing in production"
}

check() {
    local rendered=$1
    # The linter does not know the kinds of KEDA and of the Prometheus operator; crd_check.py does.
    "$checks/kubernetes-validate" -k 1.32 --strict "$rendered" > "$work/kubernetes.log" 2>&1 \
        || { grep -v passed "$work/kubernetes.log" && fail "$rendered is not what Kubernetes 1.32 accepts"; }
    "$tools/crds/bin/python" "$here/jobs.py" "$rendered" > "$rendered.jobs"
    [ ! -s "$rendered.jobs" ] || "$checks/kubernetes-validate" -k 1.32 --strict "$rendered.jobs" > "$work/kubernetes.log" 2>&1 \
        || { grep -v passed "$work/kubernetes.log" && fail "the jobs of $rendered are not what Kubernetes 1.32 accepts"; }
    "$tools/crds/bin/python" "$here/crd_check.py" "$tools/keda-crds" "$rendered"
}

for overlay in $(overlays); do
    kubectl kustomize "eks/overlays/$overlay" > "$work/$overlay.yaml"
    check "$work/$overlay.yaml"
done
for path in eks/components/*/; do
    name=$(basename "$path")
    [ "$name" = sender ] && continue # part of production
    component "$name"
    check "$work/production+$name.yaml"
done

lint() {
    local skipped=$1
    shift
    "$checks/checkov" --skip-download --quiet --compact --framework kubernetes --skip-check "$skipped" "${@/#/--file=}"
}
# CKV_K8S_43, 15: tags of the registry are immutable, so a digest and a pull at each start add nothing.
# CKV_K8S_35: the worker takes its token from the environment, as it takes every setting; nothing else runs beside it.
everywhere=CKV_K8S_43,CKV_K8S_15,CKV_K8S_35
lint $everywhere "$work"/production.yaml "$work"/production+*.yaml "$work"/production+scaled-job.yaml.jobs
# On a laptop and on podman besides: images that were loaded, not pulled (14).
# In a laptop's cluster: an embedded queue in memory without a liveness probe (8) or a policy (CKV2_K8S_6).
lint $everywhere,CKV_K8S_14,CKV_K8S_8,CKV2_K8S_6 "$work/local.yaml"
# The emulator's pod is on the host's network (19), where no kubelet probes it (8, 9), in the default namespace (21).
lint $everywhere,CKV_K8S_14,CKV_K8S_19,CKV_K8S_8,CKV_K8S_9,CKV_K8S_21 "$work/emulator.yaml"
"$checks/hadolint" eks/Dockerfile

state=()
[ -e "$work/state.json" ] && state=(--terraform "$work/state.json")
"$twinscale" validate --settings deploy/settings.yaml --kubernetes "$work/production.yaml" "${state[@]}" --template sam/template.yaml
# With all that can be switched on, and the target that terraform writes.
if [ -e "$work/state.json" ]; then
    rm -rf "$work/everything"
    cp -r eks "$work/everything"
    cp "$work/target.yaml" "$work/everything/overlays/production/target/kustomization.yaml"
    kubectl kustomize "$work/everything/overlays/production" > "$work/everything.yaml"
    check "$work/everything.yaml"
    "$twinscale" validate --settings deploy/settings.yaml --kubernetes "$work/everything.yaml" "${state[@]}" \
        --template sam/template.yaml --parameter Journal=on --parameter Idempotency=on
fi
for overlay in local emulator; do
    "$twinscale" validate --settings deploy/settings.yaml --kubernetes "$work/$overlay.yaml" --template sam/template.yaml
done
# A check that cannot fail checks nothing: half the grace period must be named.
sed 's/terminationGracePeriodSeconds: 60/terminationGracePeriodSeconds: 30/' "$work/production.yaml" > "$work/short.yaml"
if "$twinscale" validate --kubernetes "$work/short.yaml" > "$work/short.log"; then fail "validate let a short grace period pass"; fi
grep -q 'grace-period' "$work/short.log"
# What code scanning is given is SARIF.
"$twinscale" validate --kubernetes "$work/short.yaml" --format sarif > "$work/short.sarif" || true
"$tools/crds/bin/python" -c 'import json, jsonschema, sys; jsonschema.validate(*(json.load(open(path)) for path in sys.argv[1:]))' \
    "$work/short.sarif" "$tools/sarif-2.1.0.json"
