#!/usr/bin/env bash
# Both targets deployed for real to an emulator of AWS on loopback, with IAM switched on: `sam build` and `sam deploy` of the
# functions, the rendered Deployment under its own role, an image pushed by immutable tag; then everything taken down.
. "$(dirname "$0")/common.sh"
. "$here/containers.sh"

stack="twinscale-test"
endpoint=http://127.0.0.1:4566
drive() { "$sam/python" "$here/drive.py" "$@"; }
sam_here() { AWS_ENDPOINT_URL=$endpoint "$sam/sam" "$@"; }

emulate "$endpoint" "$work/ministack.log"
pod=no
stop() {
    [ "$pod" = no ] || podman pod rm -f worker-pod-0 > /dev/null 2>&1 || true
    kill "$emulator" 2> /dev/null || true
}
trap stop EXIT

# --- the Lambda twin. The architecture is this machine's, since its binaries run here.
architecture=$(uname -m | sed 's/aarch64/arm64/')
# cargo-lambda must not try to change the toolchain. With glibc linked in, as eks/build-static.sh has it, the dependencies are
# compiled once for image and functions.
cpu=$([ "$architecture" = arm64 ] && echo neoverse-n1 || echo x86-64-v2)
export RUSTFLAGS="-C target-feature=+crt-static -C target-cpu=$cpu"
export PATH=$sam:$PATH CARGO_LAMBDA_COMPILER=cargo RUSTUP_DIST_SERVER=http://127.0.0.1:9 RUSTUP_UPDATE_ROOT=http://127.0.0.1:9
[ "$profile" = release ] || export SAM_BUILD_MODE=debug
"$sam/sam" build -t sam/template.yaml --build-dir "$work/sam" --parameter-overrides "Architecture=$architecture" \
    > "$work/sam-build.log" 2>&1 || { tail -30 "$work/sam-build.log" && fail "sam build"; }
for function in SqsFunction HttpFunction; do
    bootstrap=$work/sam/$function/bootstrap
    ! readelf -l "$bootstrap" | grep -q INTERP || fail "$function is not linked as it should be"
    say "$function: $(stat -c %s "$bootstrap" | awk '{ printf "%.1f MiB", $1 / 1048576 }')"
done
deploy() {
    sam_here deploy -t "$work/sam/template.yaml" --stack-name "$stack" --resolve-s3 --capabilities CAPABILITY_IAM \
        --no-confirm-changeset --parameter-overrides "Architecture=$architecture" Journal=on Idempotency=on "$@" > "$work/sam-deploy.log" 2>&1 \
        || { tail -30 "$work/sam-deploy.log" && fail "sam deploy"; }
}
deploy
drive refuses-plain-http "$stack"
"$sam/python" "$here/without_tls_only.py" "$work/sam/template.yaml"
deploy
drive bridge "$stack"
drive function "$stack"
left_out "lambda: built for $architecture with glibc linked in, not by zig as sam build does; function URLs and mappings are the emulator's"

# --- the EKS twin: its pod, on podman, under the role that terraform makes.
if [ "$containers" = podman ] && [ -e "$work/state.json" ]; then
    rm -rf "$work/eks"
    cp -r eks "$work/eks"
    # Pushed by a tag that cannot be moved, and pulled from there as nodes would.
    pushed=${endpoint#http://}/twinscale-worker
    credentials=$(drive registry "$work/state.json")
    push() { podman push --quiet --tls-verify=false --creds "$credentials" "$1" "docker://$pushed:0.1.0" > "$work/push.log" 2>&1; }
    push localhost/twinscale-worker:local || { cat "$work/push.log" && fail "podman push"; }
    printf 'FROM localhost/twinscale-worker:local\nLABEL another=image\n' \
        | buildah bud -q --pull-never --runtime "$runtime" -t localhost/twinscale-another:local -f - "$here" > /dev/null
    if push localhost/twinscale-another:local; then fail "the registry took a second image by the same tag"; fi
    grep -qi 'immutable\|already exists' "$work/push.log" || { cat "$work/push.log" && fail "the second push failed for another reason"; }
    say "registry: pushed as $pushed:0.1.0; a second image by that tag was refused"
    sed -i "s|newName: localhost/.*|newName: $pushed|; s|newTag: local|newTag: 0.1.0|; s|value: Never|value: Always|" \
        "$work/eks/overlays/emulator/kustomization.yaml"
    drive prepare-eks "$work/state.json" "$work/eks/overlays/emulator/emulator.env" "$work/eks/overlays/emulator/keys.env"
    drive may-not "$work/eks/overlays/emulator/keys.env"
    printf 'AWS_REGION=us-east-1\n' >> "$work/eks/overlays/emulator/emulator.env"
    kubectl kustomize "$work/eks/overlays/emulator" > "$work/emulator-played.yaml"
    pod=yes
    podman kube play --quiet --tls-verify=false --creds "$credentials" "$work/emulator-played.yaml" > "$work/play.log" 2>&1 || { cat "$work/play.log" && fail "podman kube play"; }
    # The function's load goes through its URL, signed.
    AWS_ENDPOINT_URL=$endpoint "$twinscale" compare --engine aws --from-stack "$stack" --eks-queue-url twinscale \
        --journal-queue-url twinscale-journal --messages 100 --limit 5m --out "$work/aws" \
        > "$work/compare.log" 2>&1 || { tail -20 "$work/compare.log" && fail "compare --engine aws"; }
    drive compared "$work/aws/run.json" 100
    drive worker
    container=$(podman ps --format '{{.Names}}' | grep -m1 -- -worker)
    given=$(podman inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{.EffectiveCaps}}' "$container")
    [ "$given" = "true 65532:65532 []" ] || fail "the pod runs with more than it was given: $given"
    podman stop -t 60 "$container" > /dev/null
    code=$(podman inspect --format '{{.State.ExitCode}}' "$container")
    [ "$code" = 0 ] || { podman logs "$container" | tail -5 && fail "the worker exited with $code after SIGTERM"; }
    drive drained
else
    left_out "eks: the pod was not run, which wants podman as root and terraform's state from the schema stub"
fi

# Last, since the load above was sent by the signed URL.
token=$(openssl rand -hex 16)
deploy HttpAuth=NONE "SendToken=$token"
drive bridge "$stack"
drive public-url "$stack" "$token"

sam_here delete --stack-name "$stack" --no-prompts --region us-east-1 > "$work/sam-delete.log" 2>&1 || { tail -5 "$work/sam-delete.log" && fail "sam delete"; }
say "sam delete: the stack is gone"
