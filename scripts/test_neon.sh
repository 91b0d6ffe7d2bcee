#!/bin/bash
# Tests what is written for ARM's vectors (tests/neon): on another processor under an emulator. On ARM there is nothing to
# do, as all tests run there as they are.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
[ "$(uname -m)" != aarch64 ] || { echo "This is ARM: the other tests have covered its vectors." && exit 0; }

scripts/dependencies.sh neon
if [ ! -d "$(rustc --print target-libdir --target "$target")" ] && ! rustup target add "$target"; then
    echo "Rust's library for $target is missing and could not be installed: ARM's vectors were not tested." >&2
    exit 0
fi
for program in qemu-aarch64 aarch64-linux-gnu-gcc; do
    command -v "$program" >/dev/null || { echo "$program is missing: ARM's vectors were not tested." >&2 && exit 0; }
done

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
cargo test --release --target "$target" --manifest-path tests/neon/Cargo.toml --lib
