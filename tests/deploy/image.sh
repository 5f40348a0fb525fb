#!/usr/bin/env bash
# The image of the worker: built from the real Dockerfile, no larger than it should be, nothing in it but the binary.
# That it runs read-only, without capabilities, and drains on SIGTERM, emulator.sh shows.
. "$(dirname "$0")/common.sh"
. "$here/containers.sh"

image=localhost/twinscale-worker:local
most_mib=15
if [ "$containers" = none ]; then
    left_out "image: neither docker nor podman with buildah (as root) is here"
    exit 0
fi
build worker "$image"

archive=$work/image.tar
rm -f "$archive"
$containers save -q -o "$archive" "$image" 2> /dev/null || $containers save -o "$archive" "$image"
bytes=$(stat -c %s "$archive")
say "image: $(awk -v b="$bytes" 'BEGIN { printf "%.1f MiB, ", b / 1048576 }')$(gzip -1c "$archive" | wc -c | awk '{ printf "%.1f MiB compressed", $1 / 1048576 }')"
[ "$bytes" -le $((most_mib << 20)) ] || fail "the image is larger than $most_mib MiB"

user=$($containers inspect --format '{{.Config.User}}' "$image")
[ "$user" = 65532:65532 ] || fail "the image runs as '$user'"
# A scratch base: two files, and the folders they stand in.
files=$(for layer in $(tar -xOf "$archive" manifest.json | python3 -c 'import json,sys; print(*json.load(sys.stdin)[0]["Layers"])'); do
    tar -xOf "$archive" "$layer" | tar -t | grep -v '/$'
done | sort | tr '\n' ' ')
[ "$files" = "etc/ssl/certs/ca-certificates.crt twinscale-worker " ] || fail "the image holds more than it should: $files"

if [ "${TEST_LAB_IMAGE:-0}" = 1 ]; then
    build lab localhost/twinscale-lab:local
else
    left_out "image: the stage lab was not built (TEST_LAB_IMAGE=1 builds it: some minutes more)"
fi
left_out "image: linux/$(uname -m) only; the other architecture wants docker buildx with emulation"
