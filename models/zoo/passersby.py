"""Labels for the people in photographs whom the teacher left out: python -m zoo.passersby CHECKPOINT --photos DIR --out DIR

Photographs of one person show others: pedestrians, spectators, the other team. The pack knows where they are
(``ignore_boxes``) and nothing else, although they are what labels are rarest for: people who do not pose, seen from
behind and from the side. A trained network looks at each as `zoo.relabel` does, at two sizes, each also mirrored; what
all four views agree on and are sure of becomes the label, the rest stays open. Who is small, unlikely or for the most part
uncertain stays without labels.

The new folder holds an index with an entry for each person found, which points to the pictures in DIR;
`zoo.train --photos DIR OUT` takes both. Pictures of split `val` are left out. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo import boxes as box_ops
from zoo import data, labelling
from zoo.augment import IGNORE, PARTS, UNKNOWN
from zoo.metrics import box_iou, view
from zoo.network import ParsingRCNN
from zoo.outline import sharpened
from zoo.pictures import write_picture
from zoo.pooling import pool_box_features
from zoo.relabel import SURE, TALL, answers, enlarged, per_pixel
from zoo.steps import normalise

LEAST_SIDES = (24, 60)  # shorter and longer side of a box that shows enough
PERSON = 0.7  # least probability that a box shows a person, as the box head sees it
APART = 0.3  # greatest IoU with somebody who has labels
LABELLED = 0.5  # least share of the person that is sure
LEAST_PIXELS = 500


@torch.no_grad()
def judged(model: ParsingRCNN, image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, float]:
    """The box (x0, y0, x1, y1) of a picture (h, w, 3) as the box head puts it, and its probability of a person."""
    seen, there = enlarged(image, box, TALL[1])
    config = model.config
    trunk = model.trunk(normalise(torch.from_numpy(seen[None]), config.input))
    roi = torch.tensor([there], dtype=torch.float32)
    scores, deltas = model.box_head(pool_box_features(config, trunk.features, roi, torch.tensor([0])))
    better = box_ops.decode(roi, deltas, config.box.box_weights)[0].numpy()
    scale = TALL[1] / max(box[2:] - box[:2])
    moved = (better - np.tile(there[:2], 2)) / scale + np.tile(box[:2], 2)
    height, width = image.shape[:2]
    return moved.clip(0, [width, height, width, height]), float(scores.softmax(1)[0, config.box.classes.index("person")])


def marked(image: np.ndarray, label: np.ndarray, box: np.ndarray, views: tuple[Tensor, ...]) -> np.ndarray | None:
    """Label (h, w, 4), as in `augment`, of the person in ``box`` (whole numbers) alone, P = 1; None where too little is sure.

    ``views`` come from `relabel.answers`; everybody in ``label`` stays open.
    """
    x0, y0, x1, y1 = (int(v) for v in box)
    sure, part, agreed, u, v = per_pixel(views, (y1 - y0, x1 - x0))
    known = agreed & (sure >= SURE)
    body, background = known & (part > 0), known & (part == 0)
    if body.sum() < LEAST_PIXELS or body.sum() < LABELLED * (~background).sum():
        return None
    result = np.zeros((*image.shape[:2], 4), np.uint8)
    result[..., 3] = UNKNOWN
    cells = result[y0:y1, x0:x1]
    cells[:] = (IGNORE, 0, 0, 1)
    cells[background] = 0
    cells[body] = np.dstack([part, np.round(255 * u), np.round(255 * v), np.ones_like(part)])[body]
    others = (label[..., 0] > 0) & (label[..., 0] <= PARTS)
    result[others] = (IGNORE, 0, 0, 0)
    return sharpened(image, result, 1, box)


def facing(iuv: np.ndarray) -> str:
    """What the map (h, w, 3) of a person shows, as an index says it: front, back, or side/unknown."""
    return shown if (shown := view(iuv)) in ("front", "back") else "side/unknown"


def found(model: ParsingRCNN, picture: data.Picture, candidates) -> list[tuple[list[int], np.ndarray, float]]:
    """Box, label (h, w, 4) and mean share of labelled cells of every person without labels in ``candidates`` (boxes)."""
    taken = [box for n in range(1, picture.people + 1) if (box := data.person_box(picture.label, n)) is not None]
    result = []
    for candidate in candidates:
        box = np.array(candidate, np.float32)
        if not _large(box):
            continue
        box, likely = judged(model, picture.image, box)
        box = np.r_[np.floor(box[:2]), np.ceil(box[2:])]
        if likely < PERSON or not _large(box) or _overlap(box, taken).max(initial=0) > APART:
            continue
        label = marked(picture.image, picture.label, box, answers(model, picture.image, box))
        if label is None or (tight := data.person_box(label, 1)) is None:
            continue
        taken.append(box)
        own = label[..., 3] == 1
        result.append(([int(v) for v in tight], label, float((label[..., 0][own] != IGNORE).mean())))
    return result


def _large(box: np.ndarray) -> bool:
    sides = box[2:] - box[:2]
    return min(sides) >= LEAST_SIDES[0] and max(sides) >= LEAST_SIDES[1]


def _overlap(box, others) -> np.ndarray:
    """(n,) IoU of a box with others, of which there may be none."""
    return box_iou(np.array([box]), np.array(others).reshape(-1, 4))[0]


def _work(model: ParsingRCNN, job: tuple[data.Entry, dict, Path]) -> list[dict]:
    entry, record, out = job
    return written(entry, record, out, found(model, data.load(entry), entry.ignore_boxes))


def written(entry: data.Entry, record: dict, out: Path, people: list[tuple[list[int], np.ndarray, float]]) -> list[dict]:
    """Writes the labels of those `found` in a picture; returns their index entries, which begin with the picture's ``record``."""
    records = []
    everybody = [*entry.boxes, *entry.ignore_boxes]
    for number, (box, label, share) in enumerate(people, 1):
        name = f"{entry.image.stem}.{number}.iuv.png"
        whose = (label[..., 3] == 1).astype(np.uint8)
        write_picture(out / name, label[..., :3])
        write_picture(out / name.replace(".iuv.", ".person."), whose)
        others = [list(map(int, other)) for other, overlap in zip(everybody, _overlap(box, everybody)) if overlap < 0.5]
        records.append(
            record
            | {"iuv": name, "person": name.replace(".iuv.", ".person."), "boxes": [box], "ignore_boxes": others}
            | {"complete": False, "quality": round(math.sqrt(share) * 0.8, 3), "corrected": True}
            | {"facing": facing(np.where(whose[..., None] > 0, label[..., :3], 0))}
            | {"person_px": int((whose & (label[..., 0] != IGNORE)).sum())}
        )  # fmt: skip
    return records


def main(arguments: list[str] | None = None) -> int:
    return labelling.command("zoo.passersby", __doc__, _label_folder, arguments)


def _label_folder(args: argparse.Namespace) -> None:
    pictures = labelling.begin(args)
    index, log = args.out / "index.jsonl", args.out / "seen.txt"
    done = set(log.read_text().splitlines()) if log.exists() else set()
    jobs = []
    for entry, record in pictures:
        if entry.split == "val" or not entry.ignore_boxes or entry.image.name in done:
            continue
        record["file"] = os.path.relpath(args.photos / record["file"], args.out)
        jobs.append((entry, record, args.out))
    views = collections.Counter()
    with index.open("a") as lines, log.open("a") as seen:
        for number, (job, people) in enumerate(zip(jobs, labelling.by_workers(_work, jobs, args)), 1):
            lines.writelines(json.dumps(person) + "\n" for person in people)
            lines.flush()
            print(job[0].image.name, file=seen, flush=True)
            views.update(person["facing"] for person in people)
            if number % 100 == 0 or number == len(jobs):
                kinds = ", ".join(f"{count} {view}" for view, count in views.most_common())
                print(f"{number}/{len(jobs)} pictures; people: {kinds or 'none'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
