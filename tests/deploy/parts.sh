#!/usr/bin/env bash
# Runs parts of this folder one after the other, and says in the last lines what they left out, and why.
#   usage: tests/deploy/parts.sh PART...      (what `make test` and `make test-deploy` call)
. "$(dirname "$0")/common.sh"

for part in "$@"; do
    began=$SECONDS
    printf '\n== %s\n' "$part"
    "$here/$part.sh"
    printf '== %s: %d s\n' "$part" $((SECONDS - began))
done
printf '\n%s: all passed in %d min. Left out here:\n' "$*" $((SECONDS / 60))
{ cat "$left_out"/* 2> /dev/null || true; } | sort -u | sed 's/^/  - /'
