#!/usr/bin/env bash
# Installs the SQS clients that the protocol tests use, into target/clients: boto3 old and new, the aws CLI, and the npm SDKs
# v2 and v3. With `all` those of `make test-clients` too: Debian's aws CLI, the SDKs of Java and Go, and Celery.
# Does nothing when what is pinned here is installed already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/packages.sh
. "$here/../../../../tests/packages.sh"
to=$(mkdir -p "${CARGO_TARGET_DIR:-$here/../../../../target}/clients" && cd "${CARGO_TARGET_DIR:-$here/../../../../target}/clients" && pwd)

is_installed() { # name, files that pin it
    local name=$1
    shift
    pinned=$(cat "$@" | cksum)
    [ "$(cat "$to/$name" 2>/dev/null)" = "$pinned" ]
}

venv() { # folder, requirements
    python3 -m venv "$to/$1"
    "$to/$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/$2"
}

few() {
    # Python and npm are Debian's packages where nothing else brought them.
    local missing=()
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    command -v npm >/dev/null || missing+=(npm)
    packages "${missing[@]}"

    mkdir -p "$to/npm"
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$to/npm/"
    (cd "$to/npm" && npm ci --silent) &
    venv old requirements-old.txt &
    venv venv requirements.txt
    # Each is waited for by itself, so that one that failed ends this.
    wait -n
    wait -n
}

more() {
    local missing=()
    [ -x /usr/bin/aws ] || missing+=(awscli)
    command -v javac >/dev/null || missing+=(openjdk-17-jdk-headless)
    command -v mvn >/dev/null || missing+=(maven)
    command -v go >/dev/null || missing+=(golang-go)
    packages "${missing[@]}"

    "$to/old/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements-celery.txt"
    mkdir -p "$to/java/classes"
    mvn --quiet --batch-mode --file "$here/java/pom.xml" "-Dmaven.repo.local=$to/m2" "-DoutputDirectory=$to/java" \
        dependency:copy-dependencies
    javac -d "$to/java/classes" -cp "$to/java/*" "$here"/java/src/main/java/*.java
    (cd "$here/go" && GOPATH=$to/go GOFLAGS='-modcacherw -mod=readonly -buildvcs=false' go build -o "$to/go-work" .)
}

if ! is_installed installed "$here"/{requirements.txt,requirements-old.txt,package-lock.json,.npmrc}; then
    few
    printf '%s' "$pinned" >"$to/installed"
fi
[ "${1:-}" = all ] || exit 0
if ! is_installed installed-all "$here"/requirements-celery.txt "$here"/java/pom.xml "$here"/java/src/main/java/* "$here"/go/*; then
    more
    printf '%s' "$pinned" >"$to/installed-all"
fi
