# shellcheck shell=bash
# Sourced by the set-ups of tests: `packages NAME…` installs Debian's packages as root, and elsewhere says what to install.
packages() {
    [ $# -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$0: install $*, and run it again" >&2
        exit 1
    fi
    apt-get update -q && apt-get install -yq --no-install-recommends "$@"
}
