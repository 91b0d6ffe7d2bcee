#!/bin/bash
# Measures the paper's networks for deployment: exports them with random weights, runs bench_models on them and puts the
# tables into models/README.md. What was exported and measured before is kept, so it can be stopped and started again.
#
#     scripts/bench_models.sh [OUT]
#
# ROUNDS (default 1) more than those measured already adds rounds; PYTHON is the zoo's interpreter; NOTE=no leaves
# README.md as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p "${1:-out/bench}/models"
out=$(realpath "${1:-out/bench}")
python=${PYTHON:-$PWD/.venv/bin/python}

# Table 3, and what the plugin brings: at all sizes and numbers of people.
necks=(
    mobile_parsing_rcnn_b_tuned mobile_parsing_rcnn_b mobile_parsing_rcnn_bifpn_88 mobile_parsing_rcnn_bifpn_112
    mobile_parsing_rcnn_bifpn_256 mobile_parsing_rcnn_a
)
# The baselines, and a dozen of Table 2: at two sizes.
backbones=(
    densepose_rcnn_r50 parsing_rcnn_r50
    mobile_parsing_rcnn_a_resnet50 mobile_parsing_rcnn_a_tf_efficientnet_el mobile_parsing_rcnn_a_mixnet_l
    mobile_parsing_rcnn_a_tf_efficientnet_cc_b0_4e mobile_parsing_rcnn_a_tf_efficientnet_es
    mobile_parsing_rcnn_a_efficientnet_b0 mobile_parsing_rcnn_a_tf_mobilenetv3_large_100
    mobile_parsing_rcnn_a_fbnetc_100 mobile_parsing_rcnn_a_mnasnet_b1 mobile_parsing_rcnn_a_mnasnet_a1
    mobile_parsing_rcnn_a_tf_mobilenetv3_large_minimal_100 mobile_parsing_rcnn_a_tf_mobilenetv3_small_100
)

cargo build --release --example bench_models
bench=${CARGO_TARGET_DIR:-$PWD/target}/release/examples/bench_models

# Two at a time: an export is mostly one thread's work.
export OMP_NUM_THREADS=1
for config in "${necks[@]}" "${backbones[@]}"; do
    [ -e "$out/models/$config/model.json" ] || echo "$config"
done | (cd models && xargs -r -P 2 -I {} "$python" -m zoo.export --random --config {} --out "$out/models/{}")

measure() { # NAME, options and models of the bench
    "$bench" "${@:2}" --rounds "${ROUNDS:-1}" --frames 3 --seconds 3 --records "$out/records.jsonl" \
        --json "$out/$1.json" --markdown "$out/$1.md"
    [ "${NOTE:-yes}" = no ] || (cd models && "$python" -m zoo.marked README.md "bench-$1" < "$out/$1.md")
}
measure necks models/default "${necks[@]/#/$out/models/}"
measure backbones --sizes 256,512 --people 1 "${backbones[@]/#/$out/models/}"
