#!/usr/bin/env bash
# `make test-deploy`: everything about the deployments that a machine without an AWS account can show, with the real tools.
# Its last lines say what was left out, and why.
. "$(dirname "$0")/common.sh"

rm -f "$tools/left-out"
for part in tools terraform template kubernetes image emulator; do
    began=$SECONDS
    printf '\n== %s\n' "$part"
    "$here/$part.sh"
    printf '== %s: %d s\n' "$part" $((SECONDS - began))
done
printf '\ntest-deploy: all passed in %d min. Left out here:\n' $((SECONDS / 60))
sort -u "$tools/left-out" | sed 's/^/  - /'
