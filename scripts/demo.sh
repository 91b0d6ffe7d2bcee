#!/usr/bin/env bash
# Draws the body parts on a video: `scripts/demo.sh [INPUT] [OUTPUT]`, usually by way of `make demo`.
#
# INPUT   any file that GStreamer plays, or a camera (/dev/video0: ten seconds of it); default: the repository's clip
# OUTPUT  an MP4 file, default out/demo.mp4; a still PNG is written beside it
# Environment: DENSEPOSE and OVERLAY hold properties of the two elements, such as OVERLAY="style=contour canvas=gray".
set -euo pipefail
cd "$(dirname "$0")/.."

input=${1:-examples/media/people.mp4}
output=${2:-out/demo.mp4}
still=${output%.*}.png
library=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release
export GST_PLUGIN_PATH=$library${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}

if ! message=$(gst-inspect-1.0 densepose 2>&1); then
    printf 'GStreamer does not load the plugin from %s:\n%s\n' "$library" "$message" >&2
    exit 1
fi
if [ ! -e "$input" ]; then
    echo "There is no '$input'. INPUT is a video file or a camera such as /dev/video0." >&2
    exit 1
fi

if [ -c "$input" ]; then
    source=(v4l2src device="$input" num-buffers=300)
    echo "Recording ten seconds from $input ..."
else
    source=(filesrc location="$input" ! decodebin)
    echo "Reading $input ..."
fi

stills=$(mktemp -d)
trap 'rm -rf "$stills"' EXIT
mkdir -p "$(dirname "$output")"
read -ra densepose <<<"${DENSEPOSE:-}"
read -ra overlay <<<"${OVERLAY:-}"
if ! gst-launch-1.0 -q -e "${source[@]}" ! videoconvert \
    ! densepose "${densepose[@]}" ! densepose-overlay "${overlay[@]}" \
    ! progressreport name=done update-freq=5 silent=false ! tee name=t \
    t. ! queue ! videoconvert ! x264enc speed-preset=veryfast ! mp4mux ! filesink location="$output" \
    t. ! queue ! videorate drop-only=true ! video/x-raw,framerate=1/1 ! videoconvert ! pngenc \
    ! multifilesink location="$stills/%05d.png"; then
    echo "The pipeline failed: see the error above." >&2
    exit 1
fi

mapfile -t pictures < <(ls "$stills")
if [ ${#pictures[@]} -gt 0 ]; then
    cp "$stills/${pictures[${#pictures[@]} / 4]}" "$still"
    echo "Picture: $still"
fi
echo "Video:   $output"
