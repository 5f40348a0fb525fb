# Sourced by every script here: where the tools are, and what every process with an AWS SDK gets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=$PWD/tests/deploy
tools=$PWD/target/deploy # set up by tools.sh
checks=$tools/checks/bin sam=$tools/sam/bin
twinscale=${TWINSCALE:-$PWD/target/release/twinscale} # `make build` makes it
work=$tools/work # what a run leaves behind
mkdir -p "$work"

export AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 PYTHONDONTWRITEBYTECODE=1
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL

say() { printf -- '-- %s\n' "$*"; }
fail() { printf -- 'test-deploy: %s\n' "$*" >&2 && exit 1; }
# What could not be checked here, and why: test.sh repeats it in its last lines.
left_out() { printf -- '%s\n' "$*" >> "$tools/left-out"; }
