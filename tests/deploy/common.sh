# shellcheck shell=bash disable=SC2034 # sourced by every script here, which use what stands here
# Where the tools are, and what every process with an AWS SDK gets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=$PWD/tests/deploy
tools=$PWD/target/deploy # set up by tools.sh
checks=$tools/checks/bin sam=$tools/sam/bin
twinscale=${TWINSCALE:-target/release/twinscale} # `make build` makes it
profile=${PROFILE:-release} # PROFILE=dev: images and functions in a fraction of the time, and nothing is said about their size
work=$tools/work # what a run leaves behind
left_out=$PWD/target/left-out # a file for each part
mkdir -p "$work" "$left_out"
rm -f "$left_out/$(basename "$0" .sh)"

export AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 PYTHONDONTWRITEBYTECODE=1
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL

say() { printf -- '-- %s\n' "$*"; }
fail() { printf -- 'tests/deploy: %s\n' "$*" >&2 && exit 1; }
# What could not be checked here, and why: repeated in the last lines of parts.sh and of .ci/run.
left_out() { printf -- '%s\n' "$*" >> "$left_out/$(basename "$0" .sh)"; }
# The emulator of AWS, with IAM switched on, at an endpoint of loopback: settings of its own may follow. Its process is left in
# `emulator`.
emulate() {
    local endpoint=$1 log=$2
    shift 2
    ! curl -sko /dev/null -m 1 "$endpoint" || fail "something listens on $endpoint already"
    env BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 GATEWAY_PORT="${endpoint##*:}" IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 AUTH=true \
        DOCKER_HOST=unix:///nonexistent.sock "$@" "$tools/ministack/bin/ministack" > "$log" 2>&1 &
    emulator=$!
    for _ in $(seq 240); do
        if curl -skfo /dev/null -m 1 "$endpoint/_ministack/health"; then return; fi
        kill -0 "$emulator" || fail "the emulator did not start: $log"
        sleep 0.25
    done
    kill "$emulator"
    fail "the emulator did not answer within a minute: $log"
}
# For a tool that no registry of packages has: without it a part is left out, but never in CI.
wants() {
    command -v "$1" > /dev/null && return
    [ -z "${CI:-}" ] || fail "$1 is not here"
    left_out "$(basename "$0" .sh): $1 is not installed"
    exit 0
}
