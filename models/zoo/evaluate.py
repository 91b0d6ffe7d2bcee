"""Measures a network on labelled pictures, prints a table and writes a report with contact sheets.

    python -m zoo.evaluate CHECKPOINT_OR_MODEL_DIR --photos DIR --people DIR --synthetic DIR --negatives DIR --body DIR --out DIR
    python -m zoo.evaluate NEW --against OLD ...

Sets, any of which may be left out:

* photos: a data folder (`zoo.data`); its pictures of split `val`. Labels are a teacher's: agreement, not truth.
* synthetic: the same with exact labels; where no picture has split `val`, all of the folder.
* people: a data folder with outlines (``person``), by hand in part; its pictures of split `val`. Who is found (`zoo.finding`).
* negatives: pictures without anybody (`zoo.negatives`), of the categories that are kept out of training: false people.
* pairs: NAME.png or NAME.jpg with NAME_IUV.png, the official DensePose model's output (OpenCV's channels are I, U, V).
  These maps do not tell people apart, so only whole pictures are judged.

`zoo.metrics` defines the figures. Those of --against's network (or the report.json of its evaluation on the same pictures)
are compared picture by picture: a difference whose bootstrap interval (`zoo.paired`) holds zero is none. With --out: report.json, report.md, and for each set a sheet of its worst and best
pictures: picture | truth | prediction.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from zoo import checkpoint, contact_sheet, data, finding, inference, markdown, negatives, paired
from zoo.config import CONFIGS
from zoo.export import add_inference_arguments, tuned
from zoo.exported import ExportedModel, ModelError
from zoo.geodesic import Surface, SurfaceError
from zoo.inference import Person
from zoo.metrics import FIGURES, PictureResult, Truth, evaluate_picture, summarise
from zoo.paired import Row
from zoo.pictures import write_picture

# Whatever finds people in a uint8 RGB picture (h, w, 3): a network here, or results of another programme.
Predictor = Callable[[np.ndarray], list[Person]]

# On 27 pairs, most of them other than those here: the best light network obtainable without training (BodyPix
# MobileNetV1 x0.75, picture at 513 px), and what is wanted.
BAR = {"iou": 0.81, "agreement": 0.76, "du": 0.094, "dv": 0.103, "ap": 0.68}
TARGET = {"iou": 0.88, "agreement": 0.86, "du": 0.06, "dv": 0.06, "ap": 0.80}

LESS_IS_BETTER = ("mean abs. dU", "mean abs. dV", "left/right confused", "torso front/back confused", "wrong per picture")
LESS_IS_BETTER += finding.LESS_IS_BETTER

_FIGURE_NAMES = {
    "found": "found",
    "extra": "wrong per picture",
    "box_ap": "box AP",
    "box_ap50": "box AP50",
    "iou": "foreground IoU",
    "agreement": "part agreement",
    "du": "mean abs. dU",
    "dv": "mean abs. dV",
    "gps": "GPS",
    "gpsm": "GPSm",
    "ap_gps": "AP of GPS",
    "ap": "AP of GPSm",
    "ap_part": "AP of GPSm by part",
    "sides": "left/right confused",
    "torso": "torso front/back confused",
}


@dataclass
class Example:
    """A labelled picture: RGB and its truth."""

    name: str
    rgb: np.ndarray
    truth: Truth
    by_hand: bool = False  # whether people drew the outlines


@dataclass
class Judged:
    """An example with what was predicted and how good that is."""

    example: Example
    predicted: list[Person]
    result: PictureResult


class InputError(ValueError):
    """Data to evaluate on that is missing or unfit; the message names it."""


def predictor(source: str | Path, config: str | None, arguments: argparse.Namespace) -> Predictor:
    """A checkpoint or a model directory, with the inference settings of the command line."""
    if Path(source).is_dir():
        model = ExportedModel(source, threads=torch.get_num_threads())
    else:
        model = checkpoint.load(source, config).to("cuda" if torch.cuda.is_available() else "cpu")
    model.config = tuned(model.config, arguments)
    return lambda rgb: inference.estimate(model, rgb)


def spread(items: Sequence, limit: int) -> list:
    """At most ``limit`` items, evenly spread over all, so that every source is there; 0: all."""
    if not limit or len(items) <= limit:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, limit).round().astype(int)]


def folder_examples(folder: str | Path, limit: int = 0) -> Iterator[Example]:
    """Validation pictures of a data folder, or all where none is marked as such."""
    entries = data.read_index(folder, "val")
    if not entries:
        entries = data.read_index(folder)
        print(f"{folder}: no picture has split val, taking all; was the network trained on them?", file=sys.stderr)
    if not entries:
        raise InputError(f"{folder}: index.jsonl names no pictures")
    for entry in spread(entries, limit):
        picture = data.load(entry)
        boxes, ignored = (np.array(b, np.float64).reshape(-1, 4) for b in (entry.boxes, entry.ignore_boxes))
        truth = Truth(picture.label, boxes, ignored, entry.complete)
        yield Example(entry.image.stem, picture.image, truth, by_hand=entry.by_hand)


def negative_examples(folder: str | Path, limit: int = 0) -> Iterator[Example]:
    """Held-out pictures without anybody."""
    for path in spread(negatives.read_index(folder, "val"), limit):
        rgb = cv2.cvtColor(_read(path), cv2.COLOR_BGR2RGB)
        nobody = np.zeros((*rgb.shape[:2], 4), np.uint8)
        yield Example(path.stem, rgb, Truth(nobody, np.zeros((0, 4)), np.zeros((0, 4))))


def pair_examples(folder: str | Path, limit: int = 0) -> Iterator[Example]:
    """Pictures with the official model's output."""
    maps = sorted(Path(folder).glob("*_IUV.png"))
    if not maps:
        raise InputError(f"{folder}: no NAME_IUV.png in it")
    for path in spread(maps, limit):
        name = path.name.removesuffix("_IUV.png")
        iuv = _read(path)
        picture = next((p for p in (path.with_name(name + end) for end in (".png", ".jpg")) if p.exists()), None)
        if picture is None:
            raise InputError(f"{path}: no {name}.png or {name}.jpg beside it")
        rgb = cv2.cvtColor(_read(picture), cv2.COLOR_BGR2RGB)
        if rgb.shape != iuv.shape:
            raise InputError(f"{path}: is {iuv.shape[1]}x{iuv.shape[0]}, its picture {rgb.shape[1]}x{rgb.shape[0]}")
        iuv[iuv[..., 0] == 0] = 0
        label = np.dstack([iuv, (iuv[..., 0] > 0).astype(np.uint8)])
        yield Example(name, rgb, Truth(label, None, np.zeros((0, 4))))


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """--photos, --synthetic and --pairs: the sets of pictures with maps."""
    parser.add_argument("--photos", help="data folder with split val")
    parser.add_argument("--synthetic", help="data folder (one shard) of rendered people")
    parser.add_argument("--pairs", help="folder of pictures with the official model's output")


def given_sets(arguments: argparse.Namespace) -> dict[str, Callable[..., Iterator[Example]]]:
    """Readers of those sets that the command line names, by name; each may be given a limit."""
    readers = {"photos": folder_examples, "synthetic": folder_examples, "pairs": pair_examples}
    return {name: partial(read, folder) for name, read in readers.items() if (folder := getattr(arguments, name))}


def _finding_sets(arguments: argparse.Namespace) -> dict[str, Callable[..., Iterator[Example]]]:
    """Readers of the sets that tell who is found and who is not there."""
    readers = {"people": folder_examples, "negatives": negative_examples}
    return {name: partial(read, folder) for name, read in readers.items() if (folder := getattr(arguments, name))}


def _read(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError(f"{path}: missing, or not a picture that OpenCV can read")
    return pixels


def judge(
    predict: Predictor, examples: Iterator[Example], surface: Surface | None, score: float, name: str = ""
) -> tuple[list[Judged], float]:
    """Predicts and compares every example; also the mean seconds of a prediction. Progress goes to stderr."""
    judged, seconds = [], 0.0
    for example in examples:
        start = time.perf_counter()
        people = predict(example.rgb)
        seconds += time.perf_counter() - start
        judged.append(Judged(example, people, evaluate_picture(example.truth, people, surface, score)))
        if sys.stderr.isatty() or len(judged) % 16 == 0:
            print(f"\r{name}: {len(judged)} pictures", end="", file=sys.stderr, flush=True)
    print(f"\r{name}: {len(judged)} pictures, {seconds:.0f} s of prediction", file=sys.stderr)
    return judged, seconds / max(len(judged), 1)


Rows = dict[str, list[Row]]


def find(predict: Predictor, examples: Iterator[Example], score: float, name: str) -> tuple[Rows, list[Judged], float]:
    """Who is found in every example, and who is not there; also the pictures, and the mean seconds of a prediction."""
    rows, judged, seconds = {}, [], 0.0
    for example in examples:
        start = time.perf_counter()
        people = predict(example.rgb)
        seconds += time.perf_counter() - start
        shown = [person for person in people if person.score >= score]
        truth = example.truth
        if len(truth.boxes):
            found = finding.people_rows(truth.label[..., 3], truth.boxes, shown, example.by_hand)
        else:
            found = finding.nobody_rows(shown)
        for figure, row in found.items():
            rows.setdefault(figure, []).append(row)
        judged.append(Judged(example, people, found))
        if sys.stderr.isatty() or len(judged) % 64 == 0:
            print(f"\r{name}: {len(judged)} pictures", end="", file=sys.stderr, flush=True)
    print(f"\r{name}: {len(judged)} pictures, {seconds:.0f} s of prediction", file=sys.stderr)
    return rows, judged, seconds / max(len(judged), 1)


def rows_of(results: Sequence[PictureResult]) -> Rows:
    """Rows of the figures of people, or of whole pictures where people are not told apart."""
    rows: Rows = {}
    for result in results:
        judged = result.people or [result.whole]
        found = {_FIGURE_NAMES[name]: paired.mean_row([getattr(one, name) for one in judged]) for name in FIGURES if name != "gpsm_part"}
        if result.box.similarity.shape[1]:
            found |= {"found": Row(result.found, len(result.people)), "wrong per picture": Row(result.extra, 1.0)}
        for figure, row in found.items():
            rows.setdefault(figure, []).append(row)
    return rows


def finding_sheet(judged: list[Judged], score: float, most: int = 40) -> np.ndarray:
    """Contact sheet: pictures with false or missed people first, then evenly spread over the others."""

    def faults(case: Judged) -> float:
        missed = case.result.get("found, all", Row(0, 0))
        false = case.result.get("false per picture") or case.result["false per 100 pictures"]
        return missed.under - missed.over + 2 * false.over

    ranked = sorted(judged, key=faults, reverse=True)
    ranked = ranked[: most // 2] + spread(ranked[most // 2 :], most - most // 2)
    rows = []
    for case in ranked:
        shown = [person for person in case.predicted if person.score >= score]
        scores = ", ".join(f"{person.score:.2f}" for person in shown[:6])
        caption = f"{case.example.name[:26]}\nscores {scores or '-'}"
        rows.append(contact_sheet.Row(caption, [contact_sheet.draw_boxes(case.example.rgb, shown), contact_sheet.paint(case.example.rgb, shown)]))
    return contact_sheet.sheet(rows, title="picture | prediction, most faults first, from the middle on evenly spread")


def comparison(rows: dict[str, Rows], others: dict[str, Rows] | None) -> str:
    """Every set's figures with 95 % intervals; with ``others``, another network's rows, also the paired differences. Markdown."""
    lines = []
    for name, figures in rows.items():
        if others is None:
            lines += [[f"{name}: {figure}", str(paired.interval(found))] for figure, found in figures.items()]
            continue
        for figure, result in paired.differences(figures, others.get(name, {}), LESS_IS_BETTER).items():
            cells = [str(result.first), str(result.second), str(result.change), result.verdict]
            lines.append([f"{name}: {figure}", *cells])
    head = ["figure", "value [95 % interval]"] if others is None else ["figure", "this", "against", "difference", "verdict"]
    return markdown.table(head, lines)


def worst_and_best(judged: list[Judged], score: float, worst: int = 8, middle: int = 4, best: int = 4) -> np.ndarray:
    """Contact sheet: picture with boxes | truth | prediction, ordered by GPSm (IoU without geodesics)."""

    def goodness(case: Judged) -> float:
        whole = case.result.whole
        return float(np.nan_to_num(whole.iou if np.isnan(whole.gpsm) else whole.gpsm))

    ranked = sorted(judged, key=goodness)
    if len(ranked) > worst + middle + best:
        centre = (len(ranked) - middle) // 2
        ranked = ranked[:worst] + ranked[centre : centre + middle] + ranked[len(ranked) - best :]
    rows = []
    for case in ranked:
        shown = [person for person in case.predicted if person.score >= score]
        rgb, whole = case.example.rgb, case.result.whole
        caption = (
            f"{case.example.name[:26]}\nGPSm {whole.gpsm:.2f}  IoU {whole.iou:.2f}  parts {whole.agreement:.2f}\n"
            f"left/right {whole.sides:.2f}  front/back {whole.torso:.2f}"
        )
        pictures = [
            contact_sheet.draw_boxes(rgb, shown),
            contact_sheet.paint_map(rgb, case.example.truth.label[..., :3]),
            contact_sheet.paint(rgb, shown, boxes=False),
        ]
        rows.append(contact_sheet.Row(caption, pictures))
    return contact_sheet.sheet(rows, title="picture | truth | prediction, from worst to best; right warm, left cold; grey: not judged")


def tables(sets: dict[str, dict]) -> str:
    """The report's tables, Markdown."""
    with_bar = "pairs" in sets
    head = [*sets, *(["bar (BodyPix)", "target"] if with_bar else [])]
    counts = [f"{summary['pictures']}" for summary in sets.values()]
    rows = [["pictures", *counts, *["27"] * (2 * with_bar)]]
    for figure in ("iou", "agreement", "du", "dv", "gps", "gpsm", "ap", "ap_part", "sides", "torso"):
        cells = [_number(summary["picture"][figure]) for summary in sets.values()]
        cells += [_number(column.get(figure)) for column in (BAR, TARGET)] if with_bar else []
        rows.append([_FIGURE_NAMES[figure], *cells])
    found = [markdown.table(["whole picture", *head], rows)]

    people = {name: summary["people"] for name, summary in sets.items() if summary["people"]}
    if people:
        rows = [["people", *(str(p["count"]) for p in people.values())]]
        rows += [[title, *(_number(p[figure]) for p in people.values())] for figure, title in _FIGURE_NAMES.items()]
        found.append(markdown.table(["per person", *people], rows))

    chosen = ("iou", "agreement", "gpsm", "sides", "torso")
    rows = [
        [f"{name}: {view}", str(figures["count"]), *(_number(figures[f]) for f in chosen)]
        for name, summary in sets.items()
        for view, figures in summary["views"].items()
    ]
    found.append(markdown.table(["view of the torso", "number", *(_FIGURE_NAMES[figure] for figure in chosen)], rows))

    rows = [[f"{part} {title}", *(_number(s["parts"].get(part)) for s in sets.values())] for part, title in PART_NAMES.items()]
    found.append(markdown.table(["part agreement by part", *sets], rows))
    return "\n\n".join(found) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{value:.3f}"


PART_NAMES = {
    1: "torso back", 2: "torso front", 3: "right hand", 4: "left hand", 5: "left foot", 6: "right foot",
    7: "right upper leg back", 8: "left upper leg back", 9: "right upper leg front", 10: "left upper leg front",
    11: "right lower leg back", 12: "left lower leg back", 13: "right lower leg front", 14: "left lower leg front",
    15: "left upper arm inside", 16: "right upper arm inside", 17: "left upper arm outside",
    18: "right upper arm outside", 19: "left lower arm inside", 20: "right lower arm inside",
    21: "left lower arm outside", 22: "right lower arm outside", 23: "head right", 24: "head left",
}  # fmt: skip


def _jsonable(value):
    """NaN becomes null: JSON has no other word for it."""
    if isinstance(value, dict):
        return {str(key): _jsonable(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a checkpoint (zoo.train) or an exported model directory (zoo.export)")
    parser.add_argument("--config", choices=CONFIGS, help="the network, where the checkpoint does not say")
    parser.add_argument("--against", metavar="MODEL", help="another network, or the report.json of its evaluation, to compare with")
    add_set_arguments(parser)
    parser.add_argument("--people", help="data folder with outlines and split val")
    parser.add_argument("--negatives", help="folder of pictures without people, with an index")
    parser.add_argument("--body", help="folder with charts.npz and smpl2mh.npz; without it there are no GPS figures")
    parser.add_argument("--limit", type=int, default=64, help="pictures per set, evenly spread; 0 = all (default 64)")
    parser.add_argument("--score", type=float, default=0.5, help="people below it count for AP only (default 0.5)")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (default 1)")
    parser.add_argument("--cache", help="folder for the geodesic distances (default: the user's cache)")
    parser.add_argument("--out", help="folder for report.json, report.md and contact sheets")
    add_inference_arguments(parser)
    arguments = parser.parse_args()
    if not given_sets(arguments) and not _finding_sets(arguments):
        parser.error("nothing to evaluate on: give --photos, --people, --synthetic, --negatives or --pairs")
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    try:
        run(arguments)
    except (
        checkpoint.CheckpointError, ModelError, SurfaceError, data.DataError, negatives.NegativesError, InputError, OSError
    ) as error:  # fmt: skip
        sys.exit(f"error: {error}")


def run(arguments: argparse.Namespace) -> dict:
    """Evaluates as the command line says; returns the contents of report.json."""
    start = time.perf_counter()
    other = None
    if arguments.against and Path(arguments.against).suffix == ".json":
        other = _read_report(Path(arguments.against))
    out = Path(arguments.out) if arguments.out else None
    if out:
        out.mkdir(parents=True, exist_ok=True)
    surface = Surface.load(arguments.body, arguments.cache) if arguments.body else None
    sets, rows, names = _evaluated(predictor(arguments.model, arguments.config, arguments), arguments, surface, out)
    if arguments.against and other is None:
        _, against, _ = _evaluated(predictor(arguments.against, None, arguments), arguments, surface, None)
    else:
        against = _paired_rows(other, names, arguments.against) if other else None
    report = {
        "model": Path(arguments.model).name,
        "score": arguments.score,
        "limit": arguments.limit,
        "settings": {
            key: getattr(arguments, key)
            for key in ("short_side", "post_nms_topk", "nms_threshold", "score_threshold")
        },
        "bar": BAR,
        "target": TARGET,
        "sets": sets,
        "pictures": names,
        "rows": rows,
        "seconds": time.perf_counter() - start,
    }
    text = f"{tables(sets)}\n" if sets else ""
    text += comparison(rows, against) + "\n"
    print(text)
    print(f"{report['seconds']:.0f} s", file=sys.stderr)
    if out:
        (out / "report.json").write_text(json.dumps(_jsonable(report), indent=1) + "\n")
        (out / "report.md").write_text(f"# Evaluation of {report['model']}\n\n{text}")
    return report


def _evaluated(
    predict: Predictor, arguments: argparse.Namespace, surface: Surface | None, out: Path | None
) -> tuple[dict[str, dict], dict[str, Rows], dict[str, list[str]]]:
    """Figures of the sets with maps, rows and names of pictures of all sets; sheets go to ``out``."""
    sets, rows, names = {}, {}, {}
    for name, read in given_sets(arguments).items():
        judged, seconds = judge(predict, read(arguments.limit), surface, arguments.score, name)
        results = [case.result for case in judged]
        sets[name] = summarise(results) | {"seconds_per_picture": seconds}
        rows[name], names[name] = rows_of(results), [case.example.name for case in judged]
        if out:
            _write_sheet(out / f"{name}.png", worst_and_best(judged, arguments.score))
    for name, read in _finding_sets(arguments).items():
        rows[name], judged, _ = find(predict, read(arguments.limit), arguments.score, name)
        names[name] = [case.example.name for case in judged]
        if out:
            _write_sheet(out / f"{name}.png", finding_sheet(judged, arguments.score))
    return sets, rows, names


def _write_sheet(path: Path, rgb: np.ndarray) -> None:
    write_picture(path, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def _read_report(path: Path) -> dict:
    """An earlier evaluation's report.json."""
    try:
        report = json.loads(path.read_text())
        return {key: report[key] for key in ("pictures", "rows")}
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: no report of an evaluation with rows to compare with ({error!r}); evaluate again") from error


def _paired_rows(report: dict, names: dict[str, list[str]], path: str) -> dict[str, Rows]:
    """The rows of a report on the same pictures."""
    for name, pictures in names.items():
        if report["pictures"].get(name) != pictures:
            raise InputError(f"{path}: was made on other pictures of {name}; evaluate both with the same folders and --limit")
    return {name: {figure: [Row(*row) for row in found] for figure, found in rows.items()} for name, rows in report["rows"].items()}


if __name__ == "__main__":
    main()
