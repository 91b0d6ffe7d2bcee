"""Parts, U and V for people of whom outlines are known: python -m zoo.masked CHECKPOINT --photos DIR --out DIR

A picture's ``person`` map says whose every pixel is, made by hand or by a segmentation network; nothing says which part of
the body it shows. A trained network looks at each person as `zoo.relabel` does, turned upright first where the torso lies or
stands on its head. What four views agree on and are sure of becomes the label *inside the outline*, which stays as it is;
the rest is `BODY`: a person's pixel of unknown part. So is what body points contradict (`contradicted`): they come from a
network of another kind, or from people, and tell left from right and back from front where ours does not.

The new folder holds labels and an index of its own that points to the pictures in DIR; `zoo.train --photos` takes it.
Pictures of split `val` are left as they are. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

from zoo import data, labelling
from zoo.augment import BODY, PARTS, UNKNOWN
from zoo.network import ParsingRCNN
from zoo.pictures import write_picture
from zoo.relabel import answers, per_pixel

SURE = 0.5  # least mean probability of an answer that becomes the label
LEAST_SIDES = (14, 40)  # shorter and longer side of a box that shows enough to name parts
LEAST_SCORE = 0.3  # of a body point that may contradict
NEARER = 0.6  # a limb's pixel so much nearer to the other side's limb, by its distance to its own, is contradicted, ...
FARTHER = 0.03  # ... if the two distances differ by so much of the box's longer side
FAR = 0.3  # as is a pixel so far from its own limb, in longer sides of the box
TURNED = 0.5  # share of the torso that shows the wrong side, from which the whole person is taken for turned

# Ends of a limb among COCO's 17 points, the person's left and right side, by DensePose part (side 0 left, 1 right).
UPPER_ARM, LOWER_ARM, UPPER_LEG, LOWER_LEG = ((5, 7), (6, 8)), ((7, 9), (8, 10)), ((11, 13), (12, 14)), ((13, 15), (14, 16))
HAND, FOOT = ((9, 9), (10, 10)), ((15, 15), (16, 16))
LIMBS = {
    3: (HAND, 1), 4: (HAND, 0), 5: (FOOT, 0), 6: (FOOT, 1),
    7: (UPPER_LEG, 1), 8: (UPPER_LEG, 0), 9: (UPPER_LEG, 1), 10: (UPPER_LEG, 0),
    11: (LOWER_LEG, 1), 12: (LOWER_LEG, 0), 13: (LOWER_LEG, 1), 14: (LOWER_LEG, 0),
    15: (UPPER_ARM, 0), 16: (UPPER_ARM, 1), 17: (UPPER_ARM, 0), 18: (UPPER_ARM, 1),
    19: (LOWER_ARM, 0), 20: (LOWER_ARM, 1), 21: (LOWER_ARM, 0), 22: (LOWER_ARM, 1),
}  # fmt: skip
SHOULDERS, HIPS = (5, 6), (11, 12)
TORSO_BACK, TORSO_FRONT = 1, 2
WRONG_TORSO = {"front": TORSO_BACK, "back": TORSO_FRONT}
# COCO's points in the order of Leeds Sports Pose: right ankle .. left ankle, right wrist .. left wrist.
LEEDS = (16, 14, 12, 11, 13, 15, 10, 8, 6, 5, 7, 9)


def body_points(record: dict, number: int) -> np.ndarray:
    """COCO's 17 points (17, 3) of the ``number``-th person of an index record, 1..n: x, y, score; people's joints come first."""
    points = np.zeros((17, 3))
    found = (record.get("keypoints") or [None] * number)[number - 1]
    if found is not None:
        points[:] = found
    joints = (record.get("joints") or [None] * number)[number - 1]
    if joints is not None:
        for place, (x, y, seen) in zip(LEEDS, joints):
            points[place] = (x, y, 1.0) if seen else (points[place] if found is not None else (x, y, 0.0))
    return points


def quarter_turns(points: np.ndarray) -> int:
    """By how many quarters (counter-clockwise, as `np.rot90`) a picture is turned to bring the torso upright; 0 if unknown."""
    ends = points[[*SHOULDERS, *HIPS]]
    if (ends[:, 2] < LEAST_SCORE).any():
        return 0
    x, y = ends[:2, :2].mean(0) - ends[2:, :2].mean(0)  # from hips to shoulders
    return round(math.atan2(x, -y) / (math.pi / 2)) % 4


def contradicted(part: np.ndarray, corner: tuple[int, int], points: np.ndarray, facing: str | None) -> np.ndarray:
    """Where (h, w) the parts of a person, whose box has its top-left ``corner`` (x, y), cannot be right.

    That is a limb that lies at the other side's limb, and a side of the torso that ``facing`` (front, back, or anything
    else) excludes; a person with a wrong torso is wrong everywhere but on the head.
    """
    wrong = np.zeros(part.shape, bool)
    side = max(part.shape)
    for number, (ends, own) in LIMBS.items():
        rows, columns = np.nonzero(part == number)
        if not len(rows):
            continue
        pixels = np.column_stack([columns + 0.5 + corner[0], rows + 0.5 + corner[1]])
        distances = [_distance(pixels, points[list(limb)]) for limb in (ends[own], ends[1 - own])]
        if distances[0] is None:
            continue
        bad = distances[0] > FAR * side
        if distances[1] is not None:
            bad |= (distances[1] < NEARER * distances[0]) & (distances[0] - distances[1] > FARTHER * side)
        wrong[rows[bad], columns[bad]] = True
    if facing in WRONG_TORSO:
        torso = (part == TORSO_BACK) | (part == TORSO_FRONT)
        turned = part == WRONG_TORSO[facing]
        wrong |= turned
        if turned.sum() > TURNED * max(torso.sum(), 1):
            wrong |= (part > 0) & (part < 23)
    return wrong


def _distance(pixels: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
    """Of each pixel (n, 2) from the line between two points (2, 3); None where one of them is not sure."""
    if (ends[:, 2] < LEAST_SCORE).any():
        return None
    start, along = ends[0, :2], ends[1, :2] - ends[0, :2]
    share = ((pixels - start) @ along / max(along @ along, 1e-6)).clip(0, 1)
    return np.linalg.norm(pixels - start - share[:, None] * along, axis=1)


def marked(model: ParsingRCNN, picture: data.Picture, record: dict) -> np.ndarray:
    """Label (h, w, 4) of a picture whose people are `BODY` so far, with parts, U and V where they are certain."""
    label = picture.label.copy()
    for number in range(1, picture.people + 1):
        box = data.person_box(label, number)
        if box is None or min(box[2:] - box[:2]) < LEAST_SIDES[0] or max(box[2:] - box[:2]) < LEAST_SIDES[1]:
            continue
        points = body_points(record, number)
        turns = quarter_turns(points)
        turned, own = np.ascontiguousarray(np.rot90(picture.image, turns)), np.rot90(label[..., 3] == number, turns)
        rows, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
        upright = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
        size = (rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0])
        sure, part, agreed, u, v = (np.rot90(m, -turns) for m in per_pixel(answers(model, turned, upright), size))
        x0, y0, x1, y1 = (int(value) for value in box)
        cells = label[y0:y1, x0:x1]
        known = (cells[..., 3] == number) & (cells[..., 0] == BODY) & agreed & (sure >= SURE) & (part > 0)
        facing = (record.get("facing") or [None] * number)[number - 1]
        known &= ~contradicted(np.where(known, part, 0), (x0, y0), points, facing)
        cells[..., :3][known] = np.dstack([part, np.round(255 * u), np.round(255 * v)]).astype(np.uint8)[known]
    return label


def _work(model: ParsingRCNN, job: tuple[data.Entry, dict, Path]) -> tuple[dict, np.ndarray]:
    """Writes a picture's label; returns its index entry, and how many of the people's pixels have a part, and there are."""
    entry, record, out = job
    label = marked(model, data.load(entry), record)
    name = f"{entry.image.stem}.iuv.png"
    write_picture(out / name, label[..., :3])
    people = (label[..., 3] > 0) & (label[..., 3] < UNKNOWN - 1)
    counts = np.array([((label[..., 0] > 0) & (label[..., 0] <= PARTS) & people).sum(), people.sum()])
    return record | {"iuv": name, "corrected": True, "person_px": int(counts[0])}, counts


def main(arguments: list[str] | None = None) -> int:
    return labelling.command("zoo.masked", __doc__, _label_folder, arguments)


def _label_folder(args: argparse.Namespace) -> None:
    labelling.fill_folder(args, _work, ("file", "person"), _report)


def _report(total: np.ndarray) -> str:
    return f"{total[0] / max(total[1], 1):.1%} of the people's pixels have a part"


if __name__ == "__main__":
    sys.exit(main())
