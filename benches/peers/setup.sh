#!/usr/bin/env bash
# Installs what benches/worker measures the worker against, into target/peers: npm's sqs-consumer and boto3. What fails
# to install is left out of the benchmark.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=$here/../../target/peers
mkdir -p "$to/npm"
failed=0

cp "$here"/sqs_consumer.mjs "$here"/package.json "$here"/package-lock.json "$here"/.npmrc "$to/npm/" &&
    (cd "$to/npm" && npm ci --silent) || { echo "$0: npm's sqs-consumer was not installed" >&2; failed=1; }

python3 -m venv "$to/venv" && "$to/venv/bin/pip" install --quiet --requirement "$here/requirements.txt" ||
    { echo "$0: boto3 was not installed" >&2; failed=1; }

exit $failed
