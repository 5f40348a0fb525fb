#!/usr/bin/env bash
# Records scenarios with the real KEDA and the real HPA in real time, all at once, and holds the simulator to the traces.
#   usage: tests/keda/run.sh [SCENARIO...]     all of scenarios/ whose load ends within an hour
# KEDA_VERSION: which KEDA. KEDA_TRACES: where the traces go. KEDA_LIMIT: ends each recording after this time, such as 90s.
# PROGRAMS: the folder with twinscale and twinscale-worker.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${KEDA_VERSION:-2.21.0}
traces=${KEDA_TRACES:-tests/keda/traces}
programs=${PROGRAMS:-target/try}
made=$PWD/target/keda
port=23780
queue=http://127.0.0.1:$port
mkdir -p "$made"

tests/keda/build.sh "$version"
rm -rf "$made/inputs"
KEDA_INPUTS=$made/inputs KEDA_QUEUE=$queue cargo test --locked -p twinscale-lab --all-features --test it -- \
    --exact --ignored keda_inputs::write > "$made/inputs.log" 2>&1 || { tail -20 "$made/inputs.log" && exit 1; }
scenarios=("$@")
if [ ${#scenarios[@]} = 0 ]; then
    for input in "$made"/inputs/*.json; do scenarios+=("$(basename "$input" .json)"); done
fi

"$programs/twinscale" sqs --port "$port" --region us-east-1 > "$made/sqs.log" 2>&1 &
sqs=$!
trap 'kill "$sqs" 2> /dev/null || true' EXIT
for _ in $(seq 100); do
    curl -so /dev/null -m 1 "$queue" && break
    kill -0 "$sqs" || { cat "$made/sqs.log" && exit 1; }
    sleep 0.1
done
printf -- '-- recording %s with KEDA %s\n' "${scenarios[*]}" "$version"
"$made/keda-lab" record -keda "$made/$version" -worker "$PWD/$programs/twinscale-worker" -queue "$queue" -inputs "$made/inputs" \
    -traces "$traces" -limit "${KEDA_LIMIT:-0}" "${scenarios[@]}"
KEDA_TRACES=$(realpath "$traces") cargo test --locked -p twinscale-lab --all-features --test it -- keda::
