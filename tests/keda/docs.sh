#!/usr/bin/env bash
# docs/deploy.md with what wants an API server too, and every overlay as that server takes it: a real one with KEDA's CRDs and webhooks.
#   usage: tests/keda/docs.sh     KEDA_VERSION: which KEDA; TWINSCALE: the program
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${KEDA_VERSION:-2.21.0}
made=$PWD/target/keda
tests/keda/build.sh "$version"
rm -f "$made/serve.log"
"$made/keda-lab" serve -keda "$made/$version" -work "$made/serve" > "$made/serve.log" 2>&1 &
lab=$!
trap 'kill "$lab" 2> /dev/null && wait "$lab" || true' EXIT
until grep -q '^KUBECONFIG=' "$made/serve.log"; do
    kill -0 "$lab" || { cat "$made/serve.log" && exit 1; }
    sleep 1
done
DOCS_KUBECONFIG=$(sed -n 's/^KUBECONFIG=//p' "$made/serve.log")
export DOCS_KUBECONFIG
tests/deploy/docs.sh
here() { kubectl --kubeconfig "$DOCS_KUBECONFIG" "$@"; }
for overlay in eks/overlays/*/; do
    kubectl kustomize "$overlay" > "$made/overlay.yaml"
    # Objects of a namespace that is in the same file are refused by a dry run until it is there.
    namespace=$(sed -n 's/^namespace: //p' "$overlay/kustomization.yaml")
    [ -z "$namespace" ] || here create namespace "$namespace" --dry-run=client -o yaml | here apply -f - > /dev/null
    here apply --dry-run=server --validate=strict -f "$made/overlay.yaml" > "$made/overlay.log" 2>&1 || { cat "$made/overlay.log" && exit 1; }
    printf -- '-- %s: the API server takes %s objects\n' "$overlay" "$(grep -c 'server dry run' "$made/overlay.log")"
done
