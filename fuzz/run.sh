#!/bin/sh
# Fuzzes every target for so many seconds, from the seeds and what earlier runs kept in fuzz/corpus. Works on a stable
# toolchain: the coverage counters need RUSTC_BOOTSTRAP, and no sanitizer is asked for, since the code forbids `unsafe`.
set -eu
seconds=${1:-20}
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1
for target in send_request sqs_event sqs_protocol sqs_query; do
    mkdir -p "fuzz/corpus/$target"
    cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
