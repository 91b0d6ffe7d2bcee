"""Pictures in which nobody is: the pack's index, what of it is kept out of training, and scenes made of such pictures.

A folder holds ``index.jsonl``, one JSON object per picture, with ``file`` and ``category``. Whole categories are kept out
of training: a network that has seen five lamps knows the sixth, what counts is the thing that it never saw.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from . import augment, things

# Categories to measure on (split "val"); of "everyday", whose pictures differ as much as categories do, every third.
HELD_OUT = (
    "accordion", "bass", "brontosaurus", "car_side", "chandelier", "crayfish", "dalmatian", "electric_guitar", "ewer", "garfield",
    "headphone", "inline_skate", "lamp", "mandolin", "nautilus", "pagoda", "platypus", "saxophone", "snoopy", "wild_cat",
)  # fmt: skip
EVERYDAY, EVERYDAY_NTH = "everyday", 3
CUT_OUT_SHARE = 0.75  # of what is put on a background is cut out, where there is such a thing; the rest is a whole picture


class NegativesError(ValueError):
    """An index that cannot be used; the message names file and line."""


def read_index(folder: str | Path, split: str | None = None) -> list[Path]:
    """The pictures of ``folder/index.jsonl``, of one split ("train", "val") or all; `NegativesError` where it is unfit."""
    path = Path(folder) / "index.jsonl"
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise NegativesError(f"{path}: {error.strerror}; a folder of negatives needs an index.jsonl") from error
    pictures, everyday = [], 0
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            file, category = record["file"], record["category"]
        except (ValueError, KeyError, TypeError) as error:
            raise NegativesError(f"{path}:{number}: {type(error).__name__}: {error}") from error
        held_out = category in HELD_OUT
        if category == EVERYDAY:
            held_out, everyday = everyday % EVERYDAY_NTH == 0, everyday + 1
        if split in (None, "val" if held_out else "train"):
            pictures.append(path.parent / file)
    return pictures


def scene(collection, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A picture (height, width, 3) of ``size`` without people: one of the negatives, several side by side, or on a background.

    ``collection`` is a `data.Collection` with negatives.
    """
    height, width = size
    kind = rng.random()
    if kind < 0.55:
        return _view(collection.negative(rng), size, rng)
    image = collection.background(size, rng)
    if kind < 0.7:  # side by side, the seam anywhere
        seam = round((width if width > height else height) * rng.uniform(0.35, 0.65))
        for part in (slice(0, seam), slice(seam, None)):
            window = image[:, part] if width > height else image[part]
            window[:] = _view(collection.negative(rng), window.shape[:2], rng)
        return image
    for _ in range(int(rng.integers(1, 5))):
        cut_out = collection.cut_out(rng)
        if cut_out is not None and rng.random() < CUT_OUT_SHARE:
            inside, picture = things.real(size, rng, cut_out)
            image[inside] = picture[inside]
        else:
            _put(image, collection.negative(rng), rng)
    return image


def _view(picture: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The picture, mirrored or not, somewhat turned, from half as large as ``size`` to half as large again."""
    height, width = size
    fit = min(height / picture.shape[0], width / picture.shape[1])
    fill = max(height / picture.shape[0], width / picture.shape[1])
    scale = fit * (fill / fit) ** rng.uniform(0, 1) * rng.uniform(0.6, 1.5)
    target = (width * rng.uniform(0.4, 0.6), height * rng.uniform(0.4, 0.6))
    return _warped(picture, scale, rng.normal(0, 6), target, size, rng)[0]


def _put(image: np.ndarray, picture: np.ndarray, rng: np.random.Generator) -> None:
    """Shows the picture somewhere in ``image``, a sixth to two thirds as high, as a poster or a screen would."""
    height, width = image.shape[:2]
    scale = height * rng.uniform(0.17, 0.67) / picture.shape[0]
    target = (width * rng.uniform(0.05, 0.95), height * rng.uniform(0.2, 0.9))
    view, covered = _warped(picture, scale, rng.normal(0, 4), target, (height, width), rng)
    cv2.copyTo(view, covered, image)


def _warped(picture, scale, degrees, target, size, rng) -> tuple[np.ndarray, np.ndarray]:
    """View (height, width, 3) and where the picture reaches (height, width), 255 there; its middle lies on ``target`` (x, y)."""
    picture = np.ascontiguousarray(picture[:, :: rng.choice([-1, 1])])
    centre = (picture.shape[1] / 2, picture.shape[0] / 2)
    matrix = augment.view_matrix(scale, degrees, centre, target, stretch=float(np.exp(rng.normal(0, 0.1))))
    nobody = np.zeros((*picture.shape[:2], 4), np.uint8)
    view, _, covered = augment.warp(picture, nobody, matrix, size)
    return view, covered
