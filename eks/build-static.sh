#!/bin/sh
# Builds one binary with glibc linked in, into /out: it needs nothing from the image it is put in.
# `--target` keeps the flag away from build scripts and procedural macros, which are loaded, hence dynamic.
#   usage: eks/build-static.sh BINARY [CARGO FLAGS]
set -eu
bin=$1
shift
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$host" --bin "$bin" "$@"
mkdir -p /out
cp "target/$host/release/$bin" /out/
