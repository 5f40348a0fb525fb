#!/usr/bin/env bash
# The images: built from the real Dockerfile, the worker's no larger than it should be and nothing in it but the binary, the
# laboratory's serving a queue. That the worker drains under its role, emulator.sh shows.
. "$(dirname "$0")/common.sh"
. "$here/containers.sh"

worker=localhost/twinscale-worker:local lab=localhost/twinscale-lab:local
most_mib=15
if [ "$containers" = none ]; then
    left_out "image: neither docker nor podman with buildah (as root) is here"
    exit 0
fi
build worker "$worker" --build-arg PROFILE="$profile"

archive=$work/image.tar
rm -f "$archive"
$containers save -q -o "$archive" "$worker" 2> /dev/null || $containers save -o "$archive" "$worker"
bytes=$(stat -c %s "$archive")
say "image: $(awk -v b="$bytes" 'BEGIN { printf "%.1f MiB, ", b / 1048576 }')$(gzip -1c "$archive" | wc -c | awk '{ printf "%.1f MiB compressed", $1 / 1048576 }')"
[ "$profile" != release ] || [ "$bytes" -le $((most_mib << 20)) ] || fail "the image is larger than $most_mib MiB"

user=$($containers inspect --format '{{.Config.User}}' "$worker")
[ "$user" = 65532:65532 ] || fail "the image runs as '$user'"
# A scratch base: two files, and the folders they stand in.
files=$(for layer in $(tar -xOf "$archive" manifest.json | python3 -c 'import json,sys; print(*json.load(sys.stdin)[0]["Layers"])'); do
    tar -xOf "$archive" "$layer" | tar -t | grep -v '/$'
done | sort | tr '\n' ' ')
[ "$files" = "etc/ssl/certs/ca-certificates.crt twinscale-worker " ] || fail "the image holds more than it should: $files"

# The laboratory's, and both together as the overlay `local` has them: the worker finds the queue by its name.
build lab "$lab" --build-arg PROFILE=dev
left_out "image: the stage lab was built without optimization (its release build takes minutes more, and nothing is measured with it)"
left_out "image: linux/$(uname -m) only; the other architecture wants docker buildx with emulation"
left_out "eks/overlays/local: rendered, checked, and its two images run together; KEDA itself wants a cluster"
closed=(--read-only --cap-drop ALL --security-opt no-new-privileges --network host)
queue=$($containers run -d "${closed[@]}" "$lab" sqs --port 9399 --queue twinscale --queue twinscale-dead)
started=("$queue")
stop() { $containers rm -f "${started[@]}" > /dev/null; }
trap stop EXIT
sqs() { "$sam/python" "$here/drive.py" sqs http://127.0.0.1:9399 twinscale "$@"; }
sqs send 20
worked=$($containers run -d "${closed[@]}" --add-host queue.twinscale:127.0.0.1 -e AWS_ENDPOINT_URL=http://queue.twinscale:9399 \
    -e QUEUE_URL=http://queue.twinscale:9399/000000000000/twinscale -e AWS_REGION=us-east-1 -e AWS_ACCESS_KEY_ID=local \
    -e AWS_SECRET_ACCESS_KEY=local -e AWS_EC2_METADATA_DISABLED=true -e HTTP_ADDR=127.0.0.1:8098 -e WORK_WAIT=constant:10ms \
    -e EXIT_WHEN_IDLE_SECS=2 -e WAIT_TIME_SECS=1 "$worker")
started+=("$worked")
code=$(timeout 60 $containers wait "$worked")
[ "$code" = 0 ] || { $containers logs "$worked" | tail -5 && fail "the worker exited with $code"; }
sqs empty
say "lab: its image served a queue, and the worker's did all that was in it and ended by itself (read-only, no capabilities)"
