#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that a task needs and that are missing: `scripts/dependencies.sh
# build|run|test|neon`.
# As root or with sudo it installs; otherwise it prints the command to run and stops.
set -euo pipefail

build=(pkg-config gcc libc6-dev libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev)
# -bad reads the orientation of photos and transport streams.
run=("${build[@]}" gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly
    gstreamer1.0-plugins-bad gstreamer1.0-libav)
test=("${run[@]}" python3-venv python3-gi python3-gst-1.0 gir1.2-gstreamer-1.0
    gir1.2-gst-plugins-base-1.0 gir1.2-gst-rtsp-server-1.0 python3-numpy python3-opencv)
neon=(qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross)

case "${1:-}" in
build) wanted=("${build[@]}") ;;
run) wanted=("${run[@]}") ;;
test) wanted=("${test[@]}") ;;
neon) wanted=("${neon[@]}") ;;
*)
    echo "usage: scripts/dependencies.sh build|run|test|neon" >&2
    exit 2
    ;;
esac

if ! command -v cargo >/dev/null; then
    echo "Rust is missing: install it from https://rustup.rs and come back." >&2
    exit 1
fi
if ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian or Ubuntu: install GStreamer 1.22 or newer with its development files, the base, good and" >&2
    echo "ugly plugins, gst-libav and pkg-config by your system's package manager." >&2
    exit 0
fi

missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "Installing: ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
    apt=(apt-get)
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    apt=(sudo apt-get)
else
    echo "These packages are missing and this user may not install them. Please run as root:" >&2
    echo "    apt-get install ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
"${apt[@]}" update -q
"${apt[@]}" install -q -y --no-install-recommends "${missing[@]}"
