#!/bin/sh
# Builds one binary with glibc linked in, into /out: it needs nothing from the image it is put in.
#   usage: eks/build-static.sh BINARY [CARGO FLAGS]
set -eu
bin=$1
shift
# `--target` keeps the flags away from build scripts and procedural macros, which are loaded, hence dynamic.
host=$(rustc -vV | sed -n 's/^host: //p')
# For every x86_64 that EC2 has (cargo-lambda, for Lambda alone, assumes haswell), and for Graviton 2 and later, as
# cargo-lambda does.
case $host in
x86_64-*) cpu=x86-64-v2 ;;
aarch64-*) cpu=neoverse-n1 ;;
*) echo "eks/build-static.sh: for x86_64 and aarch64, not $host" >&2 && exit 64 ;;
esac
RUSTFLAGS="-C target-feature=+crt-static -C target-cpu=$cpu" cargo build --profile "$PROFILE" --locked --target "$host" --bin "$bin" "$@"
mkdir -p /out
cp "target/$host/$([ "$PROFILE" = dev ] && echo debug || echo "$PROFILE")/$bin" /out/
