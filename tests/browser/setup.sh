#!/usr/bin/env bash
# Installs what the browser check uses: Debian's chromium with a font, and the npm packages pinned here, into target/browser.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/packages.sh
. "$here/../packages.sh"
to=${CARGO_TARGET_DIR:-$here/../../target}/browser
mkdir -p "$to"

missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
command -v npm >/dev/null || missing+=(npm)
packages "${missing[@]}"

if ! cmp -s "$here/package-lock.json" "$to/installed"; then
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$to/"
    (cd "$to" && npm ci --silent)
    cp "$here/package-lock.json" "$to/installed"
fi
# Node looks for packages beside the scripts that import them.
cp "$here"/*.mjs "$to/"
