#!/usr/bin/env bash
# Installs the SQS clients that the protocol tests use, into target/clients: boto3 and the aws CLI, and the npm SDK.
# Does nothing when what is pinned here is installed already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/packages.sh
. "$here/../../../../tests/packages.sh"
to=${CARGO_TARGET_DIR:-$here/../../../../target}/clients
mkdir -p "$to/npm"

pinned=$(cat "$here/requirements.txt" "$here/package-lock.json" "$here/.npmrc" | cksum)
[ "$(cat "$to/installed" 2>/dev/null)" = "$pinned" ] && exit 0

# Python and npm are Debian's packages where nothing else brought them.
missing=()
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
command -v npm >/dev/null || missing+=(npm)
packages "${missing[@]}"

python3 -m venv "$to/venv"
"$to/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$to/npm/"
(cd "$to/npm" && npm ci --silent)
printf '%s' "$pinned" >"$to/installed"
