#!/usr/bin/env bash
# An overlay outside of this repository, as GitOps has it: base and component by the URL of a git repository and a ref.
. "$(dirname "$0")/common.sh"
wants kubectl
wants git

# The repository as somebody else sees it: this tree, committed, in a clone that is served as a file.
elsewhere=$work/gitops
rm -rf "$elsewhere"
mkdir -p "$elsewhere/remote" "$elsewhere/own/target"
cp -r eks "$elsewhere/remote/"
git -C "$elsewhere/remote" init -q -b main
git -C "$elsewhere/remote" add -A
git -C "$elsewhere/remote" -c user.name=test -c user.email=test@localhost commit -qm "as it stands"
git -C "$elsewhere/remote" tag v0
cp eks/overlays/production/target/kustomization.yaml "$elsewhere/own/target/"
cat > "$elsewhere/own/kustomization.yaml" <<K
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - file://$elsewhere/remote//eks/base?ref=v0
components:
  - file://$elsewhere/remote//eks/components/sender?ref=v0
  - target
K
kubectl kustomize "$elsewhere/own" > "$elsewhere/own.yaml" 2> "$elsewhere/own.log" || { cat "$elsewhere/own.log" && fail "an overlay outside of the repository does not render"; }
# The same objects as the overlay that ships, but for the namespace that it makes.
kubectl kustomize eks/overlays/production > "$elsewhere/shipped.yaml"
objects() { grep -c '^kind: ' "$1"; }
[ $(($(objects "$elsewhere/own.yaml") + 1)) = "$(objects "$elsewhere/shipped.yaml")" ] || fail "an overlay outside of the repository renders other objects than the one that ships"
"$twinscale" validate --settings deploy/settings.yaml --kubernetes "$elsewhere/own.yaml"
say "gitops: an overlay by URL and ref renders what the overlay that ships does"
