#!/usr/bin/env bash
# The worker for arm64, built on x86_64 with glibc linked in as for the image, and run there by qemu against the embedded queue.
# The toolchain has no standard library for arm64 where rustup's server is out of reach: Debian's rustc-web has one, which is
# unpacked privately. `make arm64` builds what is released; ARM64_PROFILE=dev takes a fraction of the time.
. "$(dirname "$0")/common.sh"

if [ "$(uname -m)" != x86_64 ]; then
    left_out "arm64: this machine is no x86_64: its own builds are for $(uname -m)"
    exit 0
fi
for tool in aarch64-linux-gnu-gcc qemu-aarch64-static; do wants "$tool"; done
profile=${ARM64_PROFILE:-$profile}
[ "$profile" = release ] || left_out "arm64: the worker was cross-built without optimization, and no image made of it (make arm64 optimizes; docker buildx makes images)"

rust=$tools/arm64
if [ ! -e "$rust/.done" ]; then
    if [ "$(id -u)" != 0 ]; then
        left_out "arm64: setting up its toolchain wants root (dpkg --add-architecture)"
        exit 0
    fi
    rm -rf "$rust"
    mkdir -p "$rust/debs"
    # Its architecture is added for as long as its list is read.
    dpkg --print-foreign-architectures | grep -qx arm64 || added=yes
    dpkg --add-architecture arm64
    apt-get update -q > "$work/apt.log" 2>&1 || { tail -3 "$work/apt.log" && fail "apt-get update"; }
    of() { apt-cache depends "$1" | awk -v pattern="$2" '/Depends:/ && $2 ~ pattern { print $2 }'; }
    library=$(of libstd-rust-web-dev '^libstd-rust-web-[0-9]')
    (cd "$rust/debs" && apt-get download -q rustc-web libstd-rust-web-dev "$library" "$(of "$library" '^libllvm')" libstd-rust-web-dev:arm64) \
        > "$work/apt.log" 2>&1 || { tail -3 "$work/apt.log" && fail "apt-get download"; }
    [ -z "${added:-}" ] || dpkg --remove-architecture arm64
    for deb in "$rust"/debs/*.deb; do dpkg -x "$deb" "$rust"; done
    touch "$rust/.done"
fi

LD_LIBRARY_PATH=$rust/usr/lib/x86_64-linux-gnu:$rust/usr/lib RUSTC=$rust/usr/bin/rustc CARGO_TARGET_DIR=$rust/target \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    RUSTFLAGS="-C target-feature=+crt-static -C target-cpu=neoverse-n1" cargo build -q --locked --profile "$profile" \
    --target aarch64-unknown-linux-gnu -p twinscale-service --features dynamodb --bin twinscale-worker
worker=$rust/target/aarch64-unknown-linux-gnu/${profile/#dev/debug}/twinscale-worker
readelf -h "$worker" | grep -q AArch64 || fail "$worker is not for arm64"

"$twinscale" sqs --port 9398 --queue twinscale > "$work/arm64-queue.log" 2>&1 &
queue=$!
trap 'kill $queue' EXIT
sqs() { "$sam/python" "$here/drive.py" sqs http://127.0.0.1:9398 twinscale "$@"; }
sqs send 20
AWS_ENDPOINT_URL=http://127.0.0.1:9398 QUEUE_URL=http://127.0.0.1:9398/000000000000/twinscale HTTP_ADDR=127.0.0.1:0 ADMIN_ADDR=127.0.0.1:0 \
    WORK_WAIT=constant:10ms EXIT_WHEN_IDLE_SECS=2 WAIT_TIME_SECS=1 timeout 120 qemu-aarch64-static "$worker" > "$work/arm64.log" 2>&1 \
    || { tail -5 "$work/arm64.log" && fail "the worker for arm64 exited with $?"; }
sqs empty
say "arm64: the worker ($profile, $(stat -c %s "$worker" | awk '{ printf "%.1f MiB", $1 / 1048576 }')) did 20 messages under qemu and ended by itself"
