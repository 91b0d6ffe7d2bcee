"""How fast the plugin's library runs models, beside ONNX Runtime and PyTorch: the ratios of milliseconds.

    python -m zoo.bench_ratios MODEL_DIR... [--threads 1 2] [--rounds N] [--torch] [--json FILE] [--markdown FILE]

Same ONNX files (PyTorch: the same architecture, eager), same number of threads, same sizes. Contestants take turns,
who begins changes with every round, and figures are medians over rounds, so that what else the machine does hits all
of them alike. A turn after which two cores have the arithmetic of one (virtual machines' hosts do that) is taken
again. Inputs are noise; the bodies of a whole frame are mapped in given boxes, since weights may be random. The
plugin's networks run as they do in the plugin: heads in its batches, without the pooling, outputs channels last.

Needs `cargo build --release --example bench_network`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

import onnxruntime
import torch

from zoo import macs, markdown
from zoo.contestants import Case, ContestError, OnnxRuntime, Plugin, PyTorch, Witness, settle, shape
from zoo.exported import ExportedModel, ModelError

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGIN, ONNXRUNTIME, TORCH = "plugin", "onnxruntime", "torch"
PATIENCE = 8  # times that a disturbed turn is taken, at most


class Row(NamedTuple):
    """A line of the table."""

    title: str
    case: Case
    goal: float | None = 1.0  # for the ratio of `against`: at most this
    against: str = ONNXRUNTIME
    rate: float | None = None  # frames per second: at least this
    only: str | None = None  # model
    most_threads: bool = False  # not measured on fewer


ROWS = [
    *(Row(f"trunk, {h}x{w}", Case("trunk", (h, w))) for h, w in ((256, 480), (416, 736), (512, 928))),
    Row("box head, 100 regions", Case("box_head", (100,))),
    *(Row(f"DensePose head, {n} {'person' if n == 1 else 'people'}", Case("densepose_head", (n,))) for n in (1, 4, 16)),
    Row(
        "frame 1280x720 at 512, 8 people",
        Case("frame", (1280, 720, 512, 8)),
        goal=1 / 3,
        against=TORCH,
        most_threads=True,
    ),
    Row(
        "frame 1280x720 at 256, 1 person",
        Case("frame", (1280, 720, 256, 1)),
        goal=None,
        against=TORCH,
        rate=25,
        only="default",
        most_threads=True,
    ),
]


def measure(directory: Path, program: Path, threads: list[int], rounds: int, with_torch: bool) -> dict:
    """Figures of a model: `peak` by number of threads, and `rows`."""
    config = ExportedModel(directory).config
    figures = {"model": config.name, "rounds": rounds, "peak": {}, "rows": []}
    for count in threads:
        with contextlib.ExitStack() as stack:
            contestants = {
                PLUGIN: stack.enter_context(Plugin(program, directory, count)),
                ONNXRUNTIME: OnnxRuntime(directory, count),
            }
            if with_torch:
                contestants[TORCH] = PyTorch(config.name, count)
            witness = Witness(stack.enter_context(Plugin(program, directory, count)))
            for row in ROWS:
                if row.only in (None, config.name) and (count == max(threads) or not row.most_threads):
                    print(f"{config.name}, {row.title}, {_threads(count)}", file=sys.stderr)
                    figures["rows"].append(
                        {
                            "title": row.title,
                            "threads": count,
                            "mmac": _mmac(directory, config, row.case),
                            "ms": contest(contestants, row.case, rounds, witness),
                        }
                    )
            figures["peak"][str(count)] = witness.peak
    return figures


def contest(contestants: dict, case: Case, rounds: int, witness: Witness) -> dict[str, float]:
    """Median milliseconds by contestant, of those that take part in the case.

    A turn after which the machine is not whole is taken again, as its host may give two of its cores the room of one.
    """
    times: dict[str, list[float]] = {}
    order = list(contestants.items())
    for round_ in range(rounds + 1):
        order.append(order.pop(0))
        for name, contestant in order:
            for _ in range(PATIENCE):
                ms = contestant.turn(case)
                settle()
                if ms is None or witness.whole():
                    break
            if round_ and ms is not None:  # the first one loads
                times.setdefault(name, []).append(ms)
    return {name: statistics.median(times[name]) for name in contestants if name in times}


def _mmac(directory: Path, config, case: Case) -> float | None:
    """Millions of multiplications with additions."""
    if case.part == "frame":
        return None
    return macs.count(directory / f"{case.part}.onnx", shape(config, case)) / 1e6


def share(row: dict, peak: dict[str, float], name: str = PLUGIN) -> float | None:
    """Of the operations that registers allow, those that the plain sums have."""
    if row["mmac"] is None:
        return None
    return 2e6 * row["mmac"] / (1e-3 * row["ms"][name]) / (1e9 * peak[str(row["threads"])])


def ratio(row: dict) -> float | None:
    """Of the plugin's time to that of whom its goal names."""
    against = row["ms"].get(_row(row).against)
    return against and row["ms"][PLUGIN] / against


def verdict(row: dict) -> str:
    """The goal, and whether it is reached."""
    known, reached = _row(row), ratio(row)
    if known.rate:
        return f">= {known.rate:.0f} frames/s: {_yes(1e3 / row['ms'][PLUGIN] >= known.rate)}"
    goal = f"<= {known.goal:.2f}" + (" of PyTorch" if known.against == TORCH else "")
    return f"{goal}: {_yes(reached <= known.goal)}" if reached else goal


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"


def _row(row: dict) -> Row:
    return next(known for known in ROWS if known.title == row["title"])


def table(figures: dict) -> str:
    """Markdown, one line per part and number of threads."""
    columns = ["part", "threads", "plugin, ms", "ONNX Runtime, ms", "PyTorch, ms", "ratio", "goal", "share of peak"]
    rows = []
    for row in figures["rows"]:
        ms = [_number(row["ms"].get(name)) for name in (PLUGIN, ONNXRUNTIME, TORCH)]
        of_peak = share(row, figures["peak"])
        reached = ratio(row)
        rate = f"{1e3 / row['ms'][PLUGIN]:.0f} frames/s" if _row(row).rate else "-"
        cells = [
            row["title"],
            str(row["threads"]),
            *ms,
            f"{reached:.2f}" if reached and not _row(row).rate else rate,
            verdict(row),
            "-" if of_peak is None else f"{100 * of_peak:.0f} %",
        ]
        rows.append(cells)
    return markdown.table(columns, rows, left=["goal"])


def _number(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"


def join(reports: list[dict]) -> dict:
    """One report of several that were made one after the other on the same machine."""
    models = [model for report_ in reports for model in report_["models"]]
    peak = {count: max(m["peak"].get(count, 0) for m in models) for m in models for count in m["peak"]}
    return {"machine": reports[0]["machine"], "models": [{**model, "peak": peak} for model in models]}


def report(figures: dict) -> str:
    """Markdown: machine, versions, peak, and a table for each model."""
    machine, models = figures["machine"], figures["models"]
    peaks = [f"{gflops:.0f} GFLOP/s on {_threads(int(count))}" for count, gflops in models[0]["peak"].items()]
    text = [
        f"{machine['processor']}, {machine['cores']} cores; {machine['versions']}; medians of "
        f"{models[0]['rounds']} alternating rounds. Peak of fused multiplications and additions: {', '.join(peaks)}.",
    ]
    for model in models:
        text += ["", f"`{model['model']}`:", "", table(model)]
    return "\n".join(text)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def machine() -> dict:
    """What it was measured on, and with."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    sets = {word for line in lines if line.startswith("flags") for word in line.split()} & {"avx2", "avx512f"}
    name = (names or [platform.processor() or "unknown processor"])[0]
    return {
        "processor": f"{name} ({'AVX-512' if 'avx512f' in sets else 'AVX2'})" if sets else name,
        "cores": os.cpu_count() or 1,
        "versions": f"ONNX Runtime {onnxruntime.__version__}, PyTorch {torch.__version__.partition('+')[0]}",
    }


def default_program(example: str) -> Path:
    """Where cargo puts an example."""
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / "examples" / example


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="model directories")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default 1 and 2)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant at each case (default 5)")
    parser.add_argument("--torch", action="store_true", help="PyTorch, too, for networks that the zoo has a config of")
    parser.add_argument("--program", type=Path, default=default_program("bench_network"), help="the built example")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--markdown", type=Path, help="file for the table")
    arguments = parser.parse_args()
    try:
        rounds = max(arguments.rounds, 1)
        models = [
            measure(model, arguments.program, arguments.threads, rounds, arguments.torch) for model in arguments.models
        ]
        figures = join([{"machine": machine(), "models": models}])
        text = report(figures)
        print(text)
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
        if arguments.markdown:
            arguments.markdown.write_text(text + "\n")
    except (ContestError, ModelError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
