#!/bin/bash
# Measures the networks beside ONNX Runtime and PyTorch, how a frame's cost grows, and where the time goes; puts tables and
# picture into docs/performance.md. Takes some minutes; leave the machine alone meanwhile.
#
#     scripts/performance.sh [STEP...]
#
# Steps, by default all in this order: build, ratios-default, ratios-paper, growth, profile, report. Each leaves its files
# in OUT (default out/performance), so one can be taken again alone. PYTHON is the zoo's interpreter, THREADS are the
# numbers of threads (default "1 2"), ROUNDS the turns at each case (default 5).
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p "${OUT:-out/performance}"
out=$(realpath "${OUT:-out/performance}")
python=${PYTHON:-$PWD/.venv/bin/python}
read -ra threads <<<"${THREADS:-1 2}"
examples=${CARGO_TARGET_DIR:-$PWD/target}/release/examples
default=$PWD/models/default
name=mobile_parsing_rcnn_b_tuned
paper=$out/$name

build() {
    cargo build --release --example bench_network --example bench_models
    # Random weights do: what it costs does not depend on them.
    [ -e "$paper/model.json" ] || (cd models && "$python" -m zoo.export --random --config "$name" --out "$paper")
}

ratios() { # MODEL, file
    (cd models && "$python" -m zoo.bench_ratios "$1" --torch --threads "${threads[@]}" --rounds "${ROUNDS:-5}" \
        --program "$examples/bench_network" --json "$2")
}

growth() {
    for count in "${threads[@]}"; do
        "$examples/bench_models" "$default" "$paper" --threads "$count" --sizes 256,320,400,512 --people 1,2,4,8 \
            --people-size 512 --rounds 1 --frames 7 --seconds 2 --json "$out/growth-$count.json"
    done
}

profile() {
    local most=${threads[-1]}
    "$examples/bench_network" <<<"profile $most 256 480 $default" >"$out/profile-default@256x480.json"
    "$examples/bench_network" <<<"profile $most 512 928 $paper" >"$out/profile-$name@512x928.json"
}

report() {
    (cd models && "$python" -m zoo.performance "$out" --into ../docs/performance.md --picture ../docs/performance.png)
}

[ $# -gt 0 ] || set -- build ratios-default ratios-paper growth profile report
for step in "$@"; do
    case $step in
        build | growth | profile | report) "$step" ;;
        ratios-default) ratios "$default" "$out/ratios-default.json" ;;
        ratios-paper) ratios "$paper" "$out/ratios-paper.json" ;;
        *) echo "unknown step $step; see the first lines of $0" >&2 && exit 1 ;;
    esac
done
