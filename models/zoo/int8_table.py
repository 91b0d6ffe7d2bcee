"""The table of float against 8 bits in README.md, from what `scripts/int8.sh` measured.

    python -m zoo.int8_table FOLDER [--into README.md]

FOLDER holds `NAME.evaluation/report.json` of `zoo.evaluate` for NAME float, weights and full, `onnxruntime.json` of
`zoo.bench_onnxruntime` and `tract.json` of the plugin's `bench_models`, both of the same models in this order. With
--into the table goes between that file's marks named int8 (`zoo.marked`).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from zoo import markdown
from zoo.marked import MarkError, replace_in

NAMES = {"float": "float", "weights": "8-bit weights", "full": "8-bit weights and activations"}
# Title, set, group of figures, figure.
_ACCURACY = [
    ("photos: foreground IoU", "photos", "picture", "iou"),
    ("photos: part agreement", "photos", "picture", "agreement"),
    ("photos: mean abs. dU", "photos", "picture", "du"),
    ("photos: mean abs. dV", "photos", "picture", "dv"),
    ("photos: GPSm", "photos", "picture", "gpsm"),
    ("photos: people found", "photos", "people", "found"),
    ("photos: wrong per picture", "photos", "people", "extra"),
    ("photos: box AP", "photos", "people", "box_ap"),
    ("synthetic: foreground IoU", "synthetic", "picture", "iou"),
    ("synthetic: part agreement", "synthetic", "picture", "agreement"),
    ("synthetic: GPSm", "synthetic", "picture", "gpsm"),
    ("synthetic: people found", "synthetic", "people", "found"),
    ("synthetic: box AP", "synthetic", "people", "box_ap"),
    ("pairs: foreground IoU", "pairs", "picture", "iou"),
    ("pairs: part agreement", "pairs", "picture", "agreement"),
    ("pairs: GPSm", "pairs", "picture", "gpsm"),
]


class TableError(ValueError):
    """Measurements that are missing; the message names the file."""


def table(folder: str | Path) -> str:
    """Markdown, one column per model."""
    folder = Path(folder)
    reports = {name: _read(folder / f"{name}.evaluation" / "report.json")["sets"] for name in NAMES}
    runtime = list(_read(folder / "onnxruntime.json").values())
    bench = _read(folder / "tract.json")
    tract = bench["models"]
    if len(runtime) != len(NAMES) or len(tract) != len(NAMES):
        raise TableError(f"{folder}: timings of {len(runtime)} and {len(tract)} models, expected are {len(NAMES)}")

    rows = [["size on disk", *(f"{model['disk_bytes'] / 1e6:.1f} MB" for model in tract)]]
    for title, dataset, group, figure in _ACCURACY:
        values = [report.get(dataset, {}).get(group, {}).get(figure) for report in reports.values()]
        rows.append([title, *("-" if value is None else f"{value:.3f}" for value in values)])
    frames = [stages["frame"] for stages in runtime]
    rows.append(["ONNX Runtime, ms per frame", *(f"{ms:.0f} (x{ms / frames[0]:.2f})" for ms in frames)])
    measured = [model["sizes"][0] for model in tract]
    whole = [size["people"][0]["whole"] for size in measured]
    rows.append(["this plugin (tract), ms per frame", *(f"{ms:.0f} (x{ms / whole[0]:.2f})" for ms in whole)])
    rows.append(["this plugin, time to load", *(f"{size['load_ms']:.0f} ms" for size in measured)])
    rows.append(["this plugin, peak memory", *(f"{size['peak_bytes'] / 1e6:.0f} MB" for size in measured)])
    machine = bench["machine"]
    rough = "; the machine was busy, times are rough" if machine["load"] > 1 else ""
    said = f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f} before timing{rough}."
    return f"{markdown.table(['', *NAMES.values()], rows)}\n\n{said}"


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise TableError(f"{path}: {error}; scripts/int8.sh writes it") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="what scripts/int8.sh wrote")
    parser.add_argument("--into", type=Path, help="file whose table to replace")
    arguments = parser.parse_args()
    try:
        text = table(arguments.folder)
        print(text)
        if arguments.into:
            replace_in(arguments.into, "int8", text)
    except (TableError, MarkError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
