#!/bin/bash
# The table "8 bits" of models/README.md, made anew: quantises a model in both ways, evaluates and times all three.
#
#     scripts/int8.sh DATA SYNTHETIC [MODEL] [OUT]
#
# DATA has photos/, reference_pairs/ and body/, SYNTHETIC is a folder of rendered people (models/README.md describes
# both). PYTHON and LIMIT (pictures per set) may be set.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
data=$(realpath "$1") synthetic=$(realpath "$2") model=$(realpath "${3:-models/default}")
mkdir -p "${4:-out/int8}"
out=$(realpath "${4:-out/int8}")
python=${PYTHON:-$PWD/.venv/bin/python}
models=("$model" "$out/weights" "$out/full")
names=(float weights full)

cargo build --release --example bench_models
bench=${CARGO_TARGET_DIR:-$PWD/target}/release/examples/bench_models
cd models
export OMP_NUM_THREADS=1
"$python" -m zoo.quantize "$model" --weights-only --out "$out/weights"
"$python" -m zoo.quantize "$model" --calibration "$data/photos" --out "$out/full"
for i in 0 1 2; do
    "$python" -m zoo.evaluate "${models[i]}" --photos "$data/photos" --synthetic "$synthetic" \
        --pairs "$data/reference_pairs" --body "$data/body" --limit "${LIMIT:-64}" --out "$out/${names[i]}.evaluation"
done
"$python" -m zoo.bench_onnxruntime "${models[@]}" --json "$out/onnxruntime.json"
"$bench" "${models[@]}" --sizes 256 --people 1 --rounds 5 --threads 1 --json "$out/tract.json"
"$python" -m zoo.int8_table "$out" --into README.md
