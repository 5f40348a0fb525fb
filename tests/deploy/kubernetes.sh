#!/usr/bin/env bash
# eks/: every overlay rendered, strict against the schemas of Kubernetes and KEDA, checkov, hadolint, twinscale validate.
. "$(dirname "$0")/common.sh"

overlays() {
    local overlay
    for overlay in eks/overlays/*/; do basename "$overlay"; done
}

# Each optional component on top of production, so that none rots.
component() {
    local folder=$work/component-$1
    mkdir -p "$folder"
    # kustomize wants its files below or beside: the paths are relative, and the folder is inside the repository.
    cat > "$folder/kustomization.yaml" <<K
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$(realpath --relative-to="$folder" eks/overlays/production)]
components: [$(realpath --relative-to="$folder" "eks/components/$1")]
K
    kubectl kustomize "$folder" > "$work/production+$1.yaml"
}

check() {
    local rendered=$1
    # The linter does not know KEDA's kinds; keda_check.py does.
    "$checks/kubernetes-validate" -k 1.32 --strict "$rendered" > "$work/kubernetes.log" 2>&1 \
        || { grep -v passed "$work/kubernetes.log" && fail "$rendered is not what Kubernetes 1.32 accepts"; }
    "$checks/python" "$here/keda_check.py" "$rendered"
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

# CKV_K8S_43, 15: tags of the registry are immutable, so a digest and a pull at each start add nothing.
# CKV_K8S_35: the worker takes its token from the environment, as it takes every setting; nothing else runs beside it.
"$checks/checkov" --skip-download --quiet --compact -f "$work/production.yaml" --framework kubernetes \
    --skip-check CKV_K8S_43,CKV_K8S_15,CKV_K8S_35
# In a laptop's cluster and on podman besides: images that were loaded, not pulled (14), an embedded queue in memory without
# a liveness probe (8) or a policy (CKV2_K8S_6); the emulator's pod is on the host's network, where no kubelet probes it.
"$checks/checkov" --skip-download --quiet --compact -f "$work/local.yaml" --framework kubernetes \
    --skip-check CKV_K8S_43,CKV_K8S_15,CKV_K8S_35,CKV_K8S_14,CKV_K8S_8,CKV2_K8S_6
"$checks/hadolint" eks/Dockerfile

state=()
[ -e "$work/state.json" ] && state=(--terraform "$work/state.json")
"$twinscale" validate --settings deploy/settings.yaml --kubernetes "$work/production.yaml" "${state[@]}" --template sam/template.yaml
for overlay in local emulator; do
    "$twinscale" validate --settings deploy/settings.yaml --kubernetes "$work/$overlay.yaml" --template sam/template.yaml
done
# A check that cannot fail checks nothing: half the grace period must be named.
sed 's/terminationGracePeriodSeconds: 60/terminationGracePeriodSeconds: 30/' "$work/production.yaml" > "$work/short.yaml"
if "$twinscale" validate --kubernetes "$work/short.yaml" > "$work/short.log"; then fail "validate let a short grace period pass"; fi
grep -q 'grace-period' "$work/short.log"
