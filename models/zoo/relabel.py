"""Fills the gaps in photographs' labels by a trained network: python -m zoo.relabel CHECKPOINT --photos DIR --out DIR

The teacher that labelled the photographs left open (part 255) what it was not sure of: every third pixel of a person,
among them most of the crossed, bent and turned limbs that a network has to learn. A network that has learned from the
rest, and from rendered people, knows more of them than its teacher did (self-training; Xie et al., *Noisy Student*,
2020). It sees everybody at two sizes, each also mirrored; where all four agree and are sure,

* what was open gets their answer: part with U and V, or, beside what was background already, background (a limb that
  the network does not see must not become a hole for good),
* what the teacher had called differently becomes open: one of the two is wrong there.

The outline that results is brought to the edges in the picture (`zoo.outline`).

The new folder holds labels and an index of its own that points to the pictures in DIR; `zoo.train --photos` takes it.
Pictures of split `val` are left as they are. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo import data, labelling
from zoo.augment import FLIPS_U, FLIPS_V, IGNORE, MIRRORED, PARTS, labelled, view_matrix, warp
from zoo.network import ParsingRCNN
from zoo.outline import sharpened
from zoo.pictures import write_picture
from zoo.pooling import pool_densepose_features
from zoo.steps import normalise
from zoo.teacher import corrected

TALL = (170.0, 240.0)  # longer side of a person's box in the pixels of the two views, as tall as they are in training
MARGIN = 0.15  # of the picture around the box, in box sides
SURE = 0.6  # least mean probability of an answer that fills a gap ...
CERTAIN = 0.85  # ... and of one that makes the teacher's doubtful
SMALLEST_SIDE = 10  # of a box; who is smaller keeps the label
FRINGE = 0.03  # how far background may grow into a gap, in longer sides of the box


@torch.no_grad()
def answers(model: ParsingRCNN, image: np.ndarray, box: np.ndarray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What four views say of the person in ``box`` (x0, y0, x1, y1) of a uint8 RGB picture (h, w, 3), on S x S cells.

    Returns (parts (4, S, S) long, of each view; probability (25, S, S) of background and parts, u and v (25, S, S)),
    the last three as means over the views, all of the picture as it is: mirrored views are mirrored back.
    """
    parts, means = [], []
    for tall in TALL:
        seen, there = enlarged(image, box, tall)
        images = torch.from_numpy(np.stack([seen, seen[:, ::-1]]))
        trunk = model.trunk(normalise(images, model.config.input))
        x0, y0, x1, y1 = there
        rois = torch.tensor([[x0, y0, x1, y1], [seen.shape[1] - x1, y0, seen.shape[1] - x0, y1]], dtype=torch.float32)
        maps = model.densepose_head(pool_densepose_features(model.config, trunk.features, rois, torch.tensor([0, 1])))
        background = maps.coarse.softmax(1)[:, :1]
        fine = maps.fine[:, 1:].softmax(1) * (1 - background)
        both = torch.stack([torch.cat([background, fine], 1), maps.u.clamp(0, 1), maps.v.clamp(0, 1)], 1)
        both[1] = _mirrored(both[1])
        parts.append(both[:, 0].argmax(1))
        means.append(both.mean(0))
    probability, u, v = torch.stack(means).mean(0)
    return torch.cat(parts), probability, u, v


def enlarged(image: np.ndarray, box: np.ndarray, tall: float) -> tuple[np.ndarray, list[float]]:
    """The surroundings of a box, whose longer side becomes ``tall``, sides multiples of 32; and the box in it."""
    x0, y0, x1, y1 = box
    scale = tall / max(x1 - x0, y1 - y0)
    wide, high = ((b - a) * (1 + 2 * MARGIN) * scale for a, b in ((x0, x1), (y0, y1)))
    size = tuple(math.ceil(side / 32) * 32 for side in (high, wide))
    matrix = view_matrix(scale, 0.0, ((x0 + x1) / 2, (y0 + y1) / 2), (size[1] / 2, size[0] / 2))
    seen, _, _ = warp(image, np.zeros(image.shape, np.uint8), matrix, size)
    left, top = matrix @ (x0, y0, 1)
    return seen, [left, top, left + (x1 - x0) * scale, top + (y1 - y0) * scale]


def _mirrored(maps: Tensor) -> Tensor:
    """Probability, u, v (3, 25, S, S) of a mirrored picture -> of the picture; the rules are those of `mirror_label`."""
    maps = maps.flip(-1)
    for channel, flips in ((1, FLIPS_U), (2, FLIPS_V)):
        chosen = torch.from_numpy(flips[: PARTS + 1])
        maps[channel, chosen] = 1 - maps[channel, chosen]
    return maps[:, torch.from_numpy(MIRRORED[: PARTS + 1].astype(np.int64))]


def per_pixel(views: tuple[Tensor, Tensor, Tensor, Tensor], size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """`answers` for each pixel of a box of ``size`` (height, width): probability, part, whether all views agree, u and v."""
    each, *means = views
    probability, u, v = (F.interpolate(m[None], size, mode="bilinear", align_corners=False)[0] for m in means)
    sure, part = probability.max(0)
    agreed = F.interpolate((each == each[0]).all(0).float()[None, None], size, mode="nearest")[0, 0] > 0
    u, v = (m.gather(0, part[None])[0].clamp(0, 1) for m in (u, v))
    return tuple(t.numpy() for t in (sure, part, agreed, u, v))


def completed(label: np.ndarray, number: int, box: np.ndarray, views: tuple[Tensor, Tensor, Tensor, Tensor]) -> np.ndarray:
    """Label (h, w, 4), as in `augment`, with the gaps of the person ``number`` in ``box`` filled from `answers`."""
    x0, y0, x1, y1 = (int(v) for v in box)
    size = (y1 - y0, x1 - x0)
    sure, part, agreed, u, v = per_pixel(views, size)
    result = label.copy()
    cells = result[y0:y1, x0:x1]
    own = cells[..., 3] == number
    reach = 2 * max(2, round(FRINGE * max(size))) + 1
    outside = cv2.dilate((cells[..., 0] == 0).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    filled = own & agreed & (sure >= SURE) & (cells[..., 0] == IGNORE) & ((part > 0) | outside)
    doubtful = own & agreed & (sure >= CERTAIN) & (cells[..., 0] != IGNORE) & (cells[..., 0] != part)
    body = part > 0
    answer = np.dstack([part, *(np.round(255 * m) * body for m in (u, v))]).astype(np.uint8)
    cells[..., :3][filled] = answer[filled]
    cells[..., :3][doubtful] = (IGNORE, 0, 0)
    cells[..., 3][filled & ~body] = 0
    return result


def relabel(model: ParsingRCNN, entry: data.Entry) -> tuple[np.ndarray, np.ndarray]:
    """The labels (h, w, 4) of a picture before and after; U and V are `corrected` first, as the network's need it no more."""
    picture = data.load(entry)
    after = corrected(picture.label) if entry.teacher_uv else picture.label
    for number in range(1, picture.people + 1):
        box = data.person_box(picture.label, number)
        if box is not None and min(box[2:] - box[:2]) >= SMALLEST_SIDE:
            after = completed(after, number, box, answers(model, picture.image, box))
            after = sharpened(picture.image, after, number, box)
    return picture.label, after


def _work(model: ParsingRCNN, job: tuple[data.Entry, dict, Path]) -> tuple[dict, np.ndarray]:
    """Writes a picture's new label; returns its index entry and how many of a person's pixels were open, are open,
    became doubtful, and how many there are."""
    entry, record, out = job
    before, after = relabel(model, entry)
    write_picture(out / entry.iuv.name, after[..., :3])
    person = labelled(before[..., 3])
    opened = [(label[..., 0] == IGNORE) & person for label in (before, after)]
    counts = [opened[0].sum(), opened[1].sum(), (opened[1] & ~opened[0]).sum(), person.sum()]
    boxes = [data.person_box(after, number) for number in range(1, len(entry.boxes) + 1)]
    boxes = [list(old) if new is None else [int(v) for v in new] for old, new in zip(entry.boxes, boxes)]
    return record | {"iuv": entry.iuv.name, "boxes": boxes, "corrected": True}, np.array(counts)


def main(arguments: list[str] | None = None) -> int:
    return labelling.command("zoo.relabel", __doc__, _relabel_folder, arguments)


def _relabel_folder(args: argparse.Namespace) -> None:
    labelling.fill_folder(args, _work, ("file", "iuv", "person"), _report)


def _report(total: np.ndarray) -> str:
    before, after, doubtful, pixels = total.clip(min=[0, 0, 0, 1])
    return (
        f"open {before / pixels:.1%} -> {after / pixels:.1%} of the people's pixels, of them {doubtful / pixels:.1%} were "
        "called differently"
    )


if __name__ == "__main__":
    sys.exit(main())
