"""Cuts things and animals out of pictures without people: python -m zoo.cutouts --negatives DIR --out DIR

They stand beside, behind and in front of people in training scenes, and on backgrounds where nobody is. Of each picture
that training may see (`zoo.negatives`), what GrabCut finds within its borders becomes a PNG with transparency, if it is
neither a speck nor the whole picture, and in one piece. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from zoo import negatives
from zoo.pictures import write_picture

BORDER = 0.03  # of the picture's sides is background for certain
ROUNDS = 4  # of GrabCut
AREA = (0.06, 0.75)  # least and greatest share of the picture that a thing has
WHOLE = 0.85  # least share of it that is one piece
SOLID = 0.45  # least share of its convex hull: what is ragged was not found


def cut_out(image: np.ndarray) -> np.ndarray | None:
    """The thing in a picture (h, w, 3), cropped, with a mask, 0 or 255, as fourth channel; None where none stands out."""
    height, width = image.shape[:2]
    x, y = max(2, round(BORDER * width)), max(2, round(BORDER * height))
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    cv2.setRNGSeed(0)  # of GrabCut's clusters
    models = np.zeros((1, 65)), np.zeros((1, 65))
    try:
        cv2.grabCut(np.ascontiguousarray(image), mask, (x, y, width - 2 * x, height - 2 * y), *models, ROUNDS, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # a picture of one colour has no clusters
        return None
    inside = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    inside = cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, pieces, figures, _ = cv2.connectedComponentsWithStats(inside)
    if len(figures) < 2:
        return None
    largest = 1 + int(figures[1:, cv2.CC_STAT_AREA].argmax())
    left, top, wide, tall, area = figures[largest]
    outline = max(cv2.findContours((pieces == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
    hull = cv2.contourArea(cv2.convexHull(outline))
    if not AREA[0] * height * width <= area <= AREA[1] * height * width:
        return None
    if area < WHOLE * inside.sum() or area < SOLID * hull:
        return None
    found = np.dstack([image, (pieces == largest).astype(np.uint8) * 255])
    return found[top : top + tall, left : left + wide]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m zoo.cutouts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--negatives", type=Path, required=True, metavar="DIR", help="a folder with an index (zoo/negatives.py)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write or continue")
    options = parser.parse_args(arguments)
    try:
        pictures = negatives.read_index(options.negatives, "train")
        options.out.mkdir(parents=True, exist_ok=True)
        kept = 0
        for number, path in enumerate(pictures, 1):
            target = options.out / f"{path.stem}.png"
            if not target.exists():
                image = cv2.imread(str(path), cv2.IMREAD_COLOR)
                if image is None:
                    raise negatives.NegativesError(f"{path}: missing, or not a picture that OpenCV can read")
                found = cut_out(image)
                if found is None:
                    continue
                write_picture(target, found)
            kept += 1
            if number % 100 == 0:
                print(f"{kept} things in {number}/{len(pictures)} pictures", flush=True)
    except (negatives.NegativesError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{kept} things in {len(pictures)} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
