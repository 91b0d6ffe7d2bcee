"""The tables and the picture of docs/performance.md, from what scripts/performance.sh measured.

    python -m zoo.performance FOLDER [--into FILE.md] [--picture FILE.png]

FOLDER holds `ratios-*.json` of `zoo.bench_ratios`, `growth-*.json` of the example `bench_models` and `profile-*.json` of
the example `bench_network`. Tables go between the marks named ratios and growth (`zoo.marked`).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from zoo import bench_ratios, markdown
from zoo.bar_chart import Chart, draw
from zoo.marked import MarkError, replace_in

_STAGES = {
    "trunk": "trunk",
    "proposals": "proposals",
    "box_head": "box head, pooling",
    "densepose_head": "DensePose head, pooling",
    "rest": "resizing, boxes, maps",
}


class MeasurementError(ValueError):
    """Measurements that are missing; the message names them."""


def growth(reports: list[dict]) -> str:
    """How a frame's milliseconds grow with size, people and threads: Markdown of reports of `bench_models`."""
    people_size = reports[0]["people_size"]
    by_size = _table([(*_key(m), {f"{s['short_side']}": s["people"][0]["whole"] for s in m["sizes"]}) for m in _models(reports)])
    counted = [(m, next(s for s in m["sizes"] if s["short_side"] == people_size)) for m in _models(reports)]
    by_people = _table([(*_key(m), {str(f["people"]): f["whole"] for f in size["people"]}) for m, size in counted])
    return "\n".join(
        ["Milliseconds of a frame of 1280x720 with one person, by shorter side in the network:", "", by_size, ""]
        + [f"... and by people, at a shorter side of {people_size}:", "", by_people]
    )


def _models(reports: list[dict]) -> list[dict]:
    models = [model for report in reports for model in report["models"]]
    return sorted(models, key=_key)


def _key(model: dict) -> tuple[str, int]:
    return model["name"], model["sizes"][0]["threads"]


def _table(rows: list[tuple[str, int, dict[str, float]]]) -> str:
    columns = list(rows[0][2])
    cells = [[name, str(threads), *(f"{ms[column]:.0f}" for column in columns)] for name, threads, ms in rows]
    return markdown.table(["network", "threads", *columns], cells)


def charts(profiles: dict[str, dict], reports: list[dict]) -> list[Chart]:
    """Of each model, where the time of its trunk goes and where that of a frame with one person."""
    found = []
    for title, profile in profiles.items():
        kinds: dict[str, float] = {}
        for layer in profile["layers"]:
            kind = words(layer["kind"])
            kinds[kind] = kinds.get(kind, 0) + layer["ms"]
        found.append(Chart(f"{title}, trunk", kinds))
        name, _, size = title.partition(", ")
        models = [m for m in _models(reports) if m["name"] == name]
        measured = [s for m in models[-1:] for s in m["sizes"] if str(s["short_side"]) == size.split("x")[0]]
        if not measured:
            raise MeasurementError(f"no growth-*.json has {name} at {size}")
        frame = measured[0]["people"][0]
        found.append(Chart(f"{title}, frame with 1 person", {stage: frame[key] for key, stage in _STAGES.items()}))
    return found


def words(kind: str) -> str:
    """`InvertedBottleneck` as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()


def _read(folder: Path, pattern: str) -> dict[str, dict]:
    files = sorted(folder.glob(pattern))
    if not files:
        raise MeasurementError(f"{folder}/{pattern} is missing; scripts/performance.sh writes it")
    try:
        return {path.stem.partition("-")[2]: json.loads(path.read_text()) for path in files}
    except json.JSONDecodeError as error:
        raise MeasurementError(f"{folder}/{pattern}: {error}; measure again") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what scripts/performance.sh wrote")
    parser.add_argument("--into", type=Path, help="file whose tables to replace")
    parser.add_argument("--picture", type=Path, help="file for the picture")
    arguments = parser.parse_args()
    try:
        measured = list(_read(arguments.folder, "growth-*.json").values())
        tables = {
            "ratios": bench_ratios.report(bench_ratios.join(list(_read(arguments.folder, "ratios-*.json").values()))),
            "growth": growth(measured),
        }
        for name, text in tables.items():
            print(text + "\n")
            if arguments.into:
                replace_in(arguments.into, name, text)
        if arguments.picture:
            profiles = {name.replace("@", ", "): p for name, p in _read(arguments.folder, "profile-*.json").items()}
            draw(charts(profiles, measured)).save(arguments.picture, optimize=True)
    except (MeasurementError, MarkError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
