"""Textures with smaller levels, and random recolouring of cloth."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from .body import AssetError
from .raster import NO_ALPHA

SMALLEST = 32


@dataclass(frozen=True)
class Texture:
    rgb: np.ndarray  # (h,w,3) uint8, rows from the top
    alpha: np.ndarray  # (h,w) uint8, or empty where the texture is opaque

    @classmethod
    def plain(cls, colour):
        return cls(np.full((1, 1, 3), colour, np.uint8), NO_ALPHA)


def read_picture(path):
    """Picture (h,w,3 or 4) uint8, RGB or RGBA."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise AssetError(f"cannot read the picture {path}; check the --assets folder")
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    code = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(picture, code)


@lru_cache(maxsize=400)
def _levels(path):
    picture = read_picture(path)
    levels = [picture]
    while min(levels[-1].shape[:2]) >= 2 * SMALLEST:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return levels


def load(path, texels, cutout=False):
    """The level of a texture whose side is nearest above `texels`; alpha only where `cutout`."""
    levels = _levels(path)
    level = next((l for l in reversed(levels) if min(l.shape[:2]) >= texels), levels[0])
    alpha = np.ascontiguousarray(level[..., 3]) if cutout and level.shape[2] == 4 else NO_ALPHA
    return Texture(np.ascontiguousarray(level[..., :3]), alpha)


def recoloured(rng, texture, pattern=None):
    """Cloth in another colour; `pattern` (h,w,3) replaces the hue where given, folds stay visible."""
    rgb = texture.rgb.astype(np.float32)
    light = cv2.transform(rgb, np.full((1, 3), 1 / 3, np.float32))[..., None]
    light /= max(light.mean(), 1.0)
    if pattern is not None:
        height, width = rgb.shape[:2]
        base = cv2.resize(pattern, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    else:
        base = random_colour(rng).astype(np.float32)
    # Keep part of the original's own colour variation (prints, seams).
    own = rgb / np.maximum(np.float32(cv2.mean(rgb)[:3]), 1.0)
    detail = (0.65 * light + 0.35 * own) if pattern is None else 0.4 + 0.6 * light
    return Texture(np.clip(base * detail, 0, 255).astype(np.uint8), texture.alpha)


def random_colour(rng):
    """Colour (3,) 0..255 as clothes have it: many dark, white or muted, some vivid."""
    value = rng.choice([rng.uniform(12, 60), rng.uniform(60, 180), rng.uniform(180, 250)])
    saturation = rng.choice([rng.uniform(0, 0.15), rng.uniform(0.15, 0.5), rng.uniform(0.5, 1)])
    hue = rng.uniform(0, 6)
    ramp = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return value * (1 - saturation + saturation * ramp)


def stripes(rng, size=128):
    """Stripes or checks (size,size,3) uint8 in two or three colours."""
    colours = np.array([random_colour(rng) for _ in range(3)])
    period = rng.integers(6, 28)
    x = np.arange(size) // period
    bands = x % rng.integers(2, 4)
    grid = np.add.outer(bands, bands if rng.random() < 0.4 else np.zeros(size, int)) % 3
    return np.clip(colours[grid if rng.random() < 0.7 else grid.T], 0, 255).astype(np.uint8)
