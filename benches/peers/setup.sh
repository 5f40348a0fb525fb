#!/usr/bin/env bash
# Installs what benches/worker measures the worker against, into target/peers: npm's sqs-consumer, boto3 and Rust's
# ruststream-sqs-sns. What fails to install is left out of the benchmark.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=$here/../../target/peers
mkdir -p "$to/npm"
failed=0

cp "$here"/sqs_consumer.mjs "$here"/package.json "$here"/package-lock.json "$here"/.npmrc "$to/npm/"
if ! npm ci --silent --prefix "$to/npm"; then
    echo "$0: npm's sqs-consumer was not installed" >&2
    failed=1
fi

python3 -m venv "$to/venv"
if ! "$to/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"; then
    echo "$0: boto3 was not installed" >&2
    failed=1
fi

if ! cargo build --quiet --release --locked --manifest-path "$here/ruststream/Cargo.toml" --target-dir "$to/ruststream"; then
    echo "$0: ruststream-sqs-sns was not built" >&2
    failed=1
fi

exit $failed
