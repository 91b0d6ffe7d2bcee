"""Backdrops of studios and shops: people are cut out and shown before one, as catalogues and try-on clips show them.

The photographs with labels were taken on streets and playing fields; a network that only knows those takes a dress before
a white wall for the wall.
"""

from __future__ import annotations

import math

import cv2
import numpy as np


def backdrop(size: tuple[int, int], rng: np.random.Generator, like: np.ndarray | None = None) -> np.ndarray:
    """A picture (height, width, 3), uint8: mostly white or grey paper, lit from somewhere, now and then with a floor.

    ``like`` (3,) is the colour, 0..255, that it nearly has; clothes before their own colour are told from it by folds, edges
    and the body's form alone.
    """
    height, width = size
    grey = rng.uniform(0.75, 1.0) if rng.random() < 0.6 else rng.uniform(0.15, 0.75)
    colour = 255 * grey * (1 + rng.normal(0, 0.02 if rng.random() < 0.8 else 0.15, 3))
    if like is not None:
        colour = (like + rng.normal(0, 6, 3)) * math.exp(rng.normal(0.08, 0.1))
    y, x = np.meshgrid(np.linspace(0, 1, height, dtype=np.float32), np.linspace(0, 1, width, dtype=np.float32), indexing="ij")
    light = 1 - rng.uniform(0, 0.4) * ((x - rng.uniform(0, 1)) ** 2 + (y - rng.uniform(0, 0.7)) ** 2)
    if rng.random() < 0.3:  # where the wall ends, sharply or in a curve
        edge = 1 / (1 + np.exp(-(y - rng.uniform(0.65, 0.95)) * rng.choice([15, 60, 250])))
        light *= 1 + rng.uniform(-0.25, 0.15) * edge
    return np.clip(light[..., None] * colour, 0, 255).astype(np.uint8)


def shadow(image: np.ndarray, people: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The backdrop (h, w, 3) with the soft shadow that ``people`` (h, w), a mask, throw on it beside themselves."""
    height, width = people.shape
    by = np.float32([[1, 0, rng.normal(0, 0.05) * width], [0, 1, rng.normal(0, 0.02) * height]])
    thrown = cv2.warpAffine(people.astype(np.float32), by, (width, height))
    thrown = cv2.GaussianBlur(thrown, (0, 0), rng.uniform(0.01, 0.05) * height)
    return (image * (1 - rng.uniform(0.05, 0.4) * thrown[..., None])).astype(np.uint8)
