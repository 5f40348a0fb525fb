#!/usr/bin/env bash
# What `make test-deploy` needs, looked for at its start and not after minutes of building.
. "$(dirname "$0")/common.sh"
. "$here/containers.sh"

[ "$containers" != none ] || fail "docker does not answer, and podman wants root: start docker, or run this as root"
for tool in python3 npm kubectl curl cargo; do command -v "$tool" > /dev/null || fail "$tool is not here"; done
say "needs: $containers${runtime:+ with $runtime}"
