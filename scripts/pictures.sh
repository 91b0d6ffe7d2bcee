#!/usr/bin/env bash
# Makes docs/demo.png: frames of the demo clip in three styles. Needs ffmpeg and a built plugin (`make build`).
set -euo pipefail
cd "$(dirname "$0")/.."

library=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release
export GST_PLUGIN_PATH=$library${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
stills=$(mktemp -d)
trap 'rm -rf "$stills"' EXIT
seconds=(01 06 10 14)
styles=("labels=true boxes=true" "style=contour canvas=gray opacity=1" "palette=viridis canvas=palette opacity=1")

for i in "${!styles[@]}"; do
    read -ra style <<<"${styles[$i]}"
    gst-launch-1.0 -q filesrc location=examples/media/people.mp4 ! decodebin \
        ! videorate drop-only=true ! video/x-raw,framerate=1/1 ! videoconvert ! video/x-raw,format=RGB \
        ! densepose ! densepose-overlay "${style[@]}" ! pngenc ! multifilesink location="$stills/$i-%02d.png"
done

inputs=()
for second in "${seconds[@]}"; do
    for i in "${!styles[@]}"; do
        inputs+=(-i "$stills/$i-$second.png")
    done
done
mkdir -p docs
count=$((${#seconds[@]} * ${#styles[@]}))
ffmpeg -y -loglevel error "${inputs[@]}" -filter_complex \
    "concat=n=$count:v=1,scale=400:-1,tile=${#styles[@]}x${#seconds[@]}:padding=4:color=white" \
    -frames:v 1 docs/demo.png
echo docs/demo.png
