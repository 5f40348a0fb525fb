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
# For a tool that no registry of packages has: without it a part is left out, but never in CI.
wants() {
    command -v "$1" > /dev/null && return
    [ -z "${CI:-}" ] || fail "$1 is not here"
    left_out "$(basename "$0" .sh): $1 is not installed"
    exit 0
}
