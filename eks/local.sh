#!/usr/bin/env bash
# The EKS target on a laptop's cluster with real KEDA and no AWS account: `eks/local.sh up`, `eks/local.sh down`.
# Wants docker, kubectl, helm, and a kind, minikube or Docker Desktop cluster as the current context.
set -euo pipefail
cd "$(dirname "$0")/.."

# Images go from docker straight into the cluster's nodes; Docker Desktop shares docker's own store.
load() {
    case $(kubectl config current-context) in
    kind-*) kind load docker-image --name "$(kubectl config current-context | sed 's/^kind-//')" "$1" ;;
    minikube) minikube image load "$1" ;;
    docker-desktop) ;;
    *) echo "eks/local.sh: $(kubectl config current-context) is no local cluster that I know (kind, minikube, docker-desktop)" >&2 && exit 64 ;;
    esac
}

up() {
    docker build -f eks/Dockerfile --target worker -t localhost/twinscale-worker:local .
    docker build -f eks/Dockerfile --target lab -t localhost/twinscale-lab:local .
    load localhost/twinscale-worker:local
    load localhost/twinscale-lab:local
    helm upgrade --install keda keda --repo https://kedacore.github.io/charts --namespace keda --create-namespace --wait
    kubectl apply -k eks/overlays/local
    for deployment in queue sender worker; do kubectl -n twinscale rollout status "deployment/$deployment" --timeout 120s; done
    cat <<'NEXT'
Up. Send a thousand messages and watch the pods:
  kubectl -n twinscale port-forward service/sender 8080:80 &
  curl -H 'Authorization: Bearer local' -d '{"Messages": 1000}' http://127.0.0.1:8080/send
  kubectl -n twinscale get hpa,pods --watch
NEXT
}

down() {
    kubectl delete -k eks/overlays/local --ignore-not-found
    helm uninstall keda --namespace keda --ignore-not-found
}

case ${1:-} in
up | down) "$1" ;;
*) echo "usage: eks/local.sh up | down" >&2 && exit 64 ;;
esac
