"""Things that are nobody, to be put in front of people or behind them: flat shapes, solids as a lathe turns them, cloth, and
things and animals cut out of photographs (`zoo.cutouts`).

Upright solids (bottles, lamps, pillars, a rocket) and hanging cloth (flags, curtains, coats on a rack) are what a detector
that saw few pictures without people takes for them.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from . import augment


CUT_OUT_SHARE = 0.6  # of the things are cut out of photographs, where there are any


def thing(view: np.ndarray, rng: np.random.Generator, cut_out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mask (h, w) and picture (h, w, 3) of a thing somewhere in a scene of ``view``'s size, which may cover it.

    ``cut_out`` (h, w, 4) is one with its mask (0 or 255) that may be taken.
    """
    if cut_out is not None and rng.random() < CUT_OUT_SHARE:
        return real(view.shape[:2], rng, cut_out)
    kind = rng.random()
    if kind < 0.35:
        return _flat(view.shape[:2], rng), view
    if kind < 0.7:
        return _solid(view, rng)
    return _cloth(view, rng)


def real(size: tuple[int, int], rng: np.random.Generator, cut_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A thing cut out of a photograph, mirrored or not, its longer side a seventh to nine tenths of the scene's shorter one."""
    cut_out = np.ascontiguousarray(cut_out[:, :: rng.choice([-1, 1])])
    scale = min(size) * rng.uniform(0.14, 0.9) / max(cut_out.shape[:2])
    shape = [max(2, round(side * scale)) for side in cut_out.shape[1::-1]]
    cut_out = cv2.resize(cut_out, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    inside = (cut_out[..., 3] > 127).astype(np.uint8) * 255
    picture = augment.own_colours(cut_out[..., :3], inside)
    return _somewhere(inside, np.clip(picture, 0, 255).astype(np.uint8), size, rng)


def _flat(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Mask of a turned rectangle or ellipse somewhere, a tenth to a third of the scene wide, or upright and as tall as a person."""
    height, width = size
    mask = np.zeros(size, np.uint8)
    centre = (float(rng.uniform(0, width)), float(rng.uniform(0, height)))
    if rng.random() < 0.5:
        sides, degrees = rng.uniform(0.1, 0.35, 2) * (width, height), rng.uniform(0, 180)
    else:  # a pillar, a tree, a bottle: an outline alone makes nobody
        tall = height * rng.uniform(0.3, 0.9)
        sides, degrees = np.array([tall * rng.uniform(0.12, 0.4), tall]), rng.normal(0, 8)
    shape = (centre, tuple(map(float, sides)), float(degrees))
    if rng.random() < 0.5:
        cv2.ellipse(mask, shape, 255, -1)
    else:
        cv2.fillPoly(mask, [cv2.boxPoints(shape).astype(np.int32)], 255)
    return mask > 0


def _solid(view: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A solid of revolution, upright or nearly so, lit from one side."""
    height, width = view.shape[:2]
    tall = max(16, round(height * rng.uniform(0.25, 0.95)))
    wide = max(8, round(tall * rng.uniform(0.15, 0.5)))
    half = _profile(tall, rng) * (wide / 2)
    across = (np.arange(wide) + 0.5 - wide / 2)[None, :] / np.maximum(half, 0.5)[:, None]  # -1..1 over the solid
    inside = (abs(across) < 1).astype(np.uint8) * 255
    facing = np.sqrt(np.clip(1 - across**2, 0, 1))  # how much the surface looks at us
    sun = rng.uniform(-math.pi / 2, math.pi / 2)
    light = 0.45 + 0.65 * np.clip(facing * math.cos(sun) + across * math.sin(sun), 0, None)
    light += rng.uniform(0, 0.6) * np.clip(facing * math.cos(sun / 2) + across * math.sin(sun / 2), 0, 1) ** 30  # gloss
    picture = np.clip(_surface(tall, wide, view, rng) * light[..., None], 0, 255).astype(np.uint8)
    return _somewhere(inside, picture, (height, width), rng)


def _cloth(view: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Striped, plain or printed cloth that hangs in folds, wider or narrower at its lower end."""
    height, width = view.shape[:2]
    tall = max(16, round(height * rng.uniform(0.3, 1.1)))
    wide = max(12, round(tall * rng.uniform(0.2, 0.7)))
    y, x = np.meshgrid(np.linspace(0, 1, tall, dtype=np.float32), np.linspace(-1, 1, wide, dtype=np.float32), indexing="ij")
    half = 1 - rng.uniform(0, 0.6) * (y if rng.random() < 0.5 else 1 - y) ** rng.uniform(0.5, 2)
    across = x / half
    fold, light = np.zeros_like(x), np.ones_like(x)
    for _ in range(int(rng.integers(1, 4))):
        folds, phase, lean = rng.uniform(2, 12), rng.uniform(0, 2 * math.pi), rng.normal(0, 2)
        wave = folds * across + lean * y + phase
        depth = rng.uniform(0.1, 0.5)
        fold += depth / folds * np.sin(wave)
        light += 0.6 * depth * np.cos(wave)
    paint = _surface(wide, tall, view, rng).swapaxes(0, 1) if rng.random() < 0.5 else _surface(tall, wide, view, rng)
    slant = rng.normal(0, 0.3)
    at = ((across + fold + slant * y + 1) / 2 * (wide - 1)).astype(np.float32)
    down = ((y + 0.3 * fold) * (tall - 1)).astype(np.float32)
    picture = cv2.remap(paint, at, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101) * light[..., None]
    inside = ((abs(across) < 1) & (y < 1 + fold - abs(fold).max())).astype(np.uint8) * 255
    return _somewhere(inside, np.clip(picture, 0, 255).astype(np.uint8), (height, width), rng)


def _somewhere(
    inside: np.ndarray, picture: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mask and picture of ``size`` (height, width) that show a thing, nearly upright; ``inside``: where its own picture is it."""
    (tall, wide), (height, width) = inside.shape, size
    target = (rng.uniform(0, width), rng.uniform(0.2, 0.9) * height)
    matrix = augment.view_matrix(1.0, rng.normal(0, 6), (wide / 2, tall / 2), target)
    picture = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(inside, matrix, (width, height), flags=cv2.INTER_NEAREST)
    return mask > 0, picture


def _profile(tall: int, rng: np.random.Generator) -> np.ndarray:
    """Half the width per row, at most 1: straight, round or stepped between a few heights."""
    knots = int(rng.integers(2, 7))
    at = np.sort(np.r_[0, rng.uniform(0, 1, knots), 1])
    widths = rng.uniform(0.2, 1.0, knots + 2)
    if rng.random() < 0.4:
        widths[0] = 0.02  # a tip
    rows = (np.arange(tall) + 0.5) / tall
    if rng.random() < 0.3:  # stepped, as a tower of parts
        half = widths[np.searchsorted(at, rows)]
    else:
        half = np.interp(rows, at, widths)
    if rng.random() < 0.5:
        half = cv2.GaussianBlur(half[:, None], (0, 0), tall / rng.uniform(15, 40))[:, 0]
    return half / half.max()


def _surface(tall: int, wide: int, view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint of one colour, in bands, or with a picture; (tall, wide, 3) float32."""
    colours = rng.uniform(10, 250, (int(rng.integers(1, 6)), 3)).astype(np.float32)
    grey = colours.mean(axis=1, keepdims=True)
    colours = grey + rng.uniform(0, 1, grey.shape).astype(np.float32) * (colours - grey)
    if rng.random() < 0.3:
        return cv2.resize(view, (wide, tall), interpolation=cv2.INTER_AREA).astype(np.float32)
    borders = np.sort(rng.uniform(0, tall, len(colours) - 1))
    bands = colours[np.searchsorted(borders, np.arange(tall))]
    return np.repeat(bands[:, None], wide, axis=1)
