#!/usr/bin/env bash
# Makes docs/styles/*.png: every style, preset and effect of densepose-overlay on a picture from examples/media.
# Needs ffmpeg and a built plugin (`make build`).
set -euo pipefail
cd "$(dirname "$0")/.."

library=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release
export GST_PLUGIN_PATH=$library${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A walking man beside a portrait.
ffmpeg -y -loglevel error -ss 6 -i examples/media/people.mp4 -i examples/media/grace_hopper.jpg -filter_complex \
    "[0:v]crop=200:360:110:0[a];[1:v]scale=-2:360,crop=280:360[b];[a][b]hstack" -frames:v 1 "$scratch/people.png"
# An atlas whose charts show U as red, V as green, and a chequerboard.
ffmpeg -y -loglevel error -f lavfi -i color=size=800x1200 -frames:v 1 -vf \
    "format=gbrp,geq=r='mod(X,200)+55':g='255-mod(Y,200)':b='255*mod(floor(X/25)+floor(Y/25),2)'" "$scratch/atlas.png"
for i in $(seq 0 24); do
    printf '%d %d %d\n' $((i * 97 % 206 + 50)) $((i * 53 % 206 + 50)) $((i * 151 % 206 + 50))
done >"$scratch/palette.txt"

# sheet NAME SETTINGS...: one picture for each, drawn on the result of one run of the network.
sheet() {
    local name=$1 branches=() count=0 settings
    shift
    for settings in "$@"; do
        branches+=(t. ! queue ! densepose-overlay)
        read -ra words <<<"${settings//@/$scratch}"
        branches+=("${words[@]}" ! textoverlay "text=\"${settings//@\//}\"" "font-desc=Sans 13" valignment=bottom
            shaded-background=true ! videoconvert ! pngenc ! filesink "location=$scratch/$(printf %02d $count).png")
        count=$((count + 1))
    done
    gst-launch-1.0 -q filesrc location="$scratch/people.png" ! pngdec ! videoconvert ! video/x-raw,format=RGB \
        ! densepose ! tee name=t "${branches[@]}"
    mkdir -p docs/styles
    ffmpeg -y -loglevel error -i "$scratch/%02d.png" -frames:v 1 -vf \
        "scale=320:-1:flags=lanczos,tile=3x$(((count + 2) / 3)):padding=4:color=white" "$scratch/sheet.png"
    # 256 colours are enough, and a third of the size.
    ffmpeg -y -loglevel error -i "$scratch/sheet.png" -vf \
        "split[a][b];[a]palettegen=stats_mode=full[p];[b][p]paletteuse=dither=sierra2_4a" "docs/styles/$name.png"
    rm "$scratch"/[0-9][0-9].png
    echo "docs/styles/$name.png"
}

sheet styles style=parts style=u style=v style=contour style=iuv style=iuv-legacy style=index \
    "style=texture texture=@/atlas.png opacity=1" "custom-palette=@/palette.txt" "palette=viridis canvas=palette opacity=1" \
    "canvas=gray boxes=true labels=true" "parts=1-2,15-22"
sheet presets preset=magic-animate preset=vitonhd preset=catvton preset=detectron2-segm preset=detectron2-u \
    preset=detectron2-v preset=detectron2-contour preset=detectron2-bbox preset=legacy-iuv
sheet effects "effect=pixelate parts=23,24" "effect=blur parts=23,24" "effect=fill parts=23,24" \
    "effect=pixelate" "effect=blur" "effect=fill fill-color=0xff336699"
