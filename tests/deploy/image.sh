#!/usr/bin/env bash
# The images: built from the real Dockerfile, the worker's no larger than it should be and nothing in it but the binary, the
# laboratory's serving a queue, and the queue's own, small, keeping it over a restart. That the worker drains under its role,
# emulator.sh shows.
. "$(dirname "$0")/common.sh"
. "$here/containers.sh"

worker=localhost/twinscale-worker:local lab=localhost/twinscale-lab:local sqs=localhost/twinscale-sqs:local
if [ "$containers" = none ]; then
    left_out "image: neither docker nor podman with buildah (as root) is here"
    exit 0
fi
build worker "$worker" --build-arg PROFILE="$profile"

archive=$work/image.tar
weigh() { # tag, the most bytes of a release
    rm -f "$archive"
    $containers save -q -o "$archive" "$1" 2> /dev/null || $containers save -o "$archive" "$1"
    bytes=$(stat -c %s "$archive")
    say "$1: $(awk -v b="$bytes" 'BEGIN { printf "%.1f MB, ", b / 1e6 }')$(gzip -1c "$archive" | wc -c | awk '{ printf "%.1f MB compressed", $1 / 1e6 }')"
    [ "$profile" != release ] || [ "$bytes" -le "$2" ] || fail "$1 is larger than $2 bytes"
}
build sqs "$sqs" --build-arg PROFILE="$profile"
weigh "$sqs" 10000000
weigh "$worker" 15728640

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
    -e AWS_SECRET_ACCESS_KEY=local -e AWS_EC2_METADATA_DISABLED=true -e HTTP_ADDR=127.0.0.1:8098 -e ADMIN_ADDR=127.0.0.1:8097 -e WORK_WAIT=constant:10ms \
    -e EXIT_WHEN_IDLE_SECS=2 -e WAIT_TIME_SECS=1 "$worker")
started+=("$worked")
code=$(timeout 60 $containers wait "$worked")
[ "$code" = 0 ] || { $containers logs "$worked" | tail -5 && fail "the worker exited with $code"; }
sqs empty

# The queue's own image: what it keeps outlives the container.
kept=$(mktemp -d)
chmod 777 "$kept"
serve() { # prints the container's id
    $containers run -d "${closed[@]}" -v "$kept:/kept" "$sqs" --port 9396 --queue twinscale --persist /kept/queues.log
}
queue=$(serve)
started+=("$queue")
"$sam/python" "$here/drive.py" sqs http://127.0.0.1:9396 twinscale send 20
$containers kill "$queue" > /dev/null
queue=$(serve)
started+=("$queue")
found() { $containers logs "$queue" 2>&1 | grep -q 'kept 1 queues with 20 messages'; }
for _ in $(seq 100); do
    if found; then break; fi
    sleep 0.1
done
found || fail "the queue's image has not kept 20 messages over a kill: $($containers logs "$queue" 2>&1 | tail -3)"
say "sqs: its image kept 20 messages over a kill"
say "lab: its image served a queue, and the worker's did all that was in it and ended by itself (read-only, no capabilities)"
