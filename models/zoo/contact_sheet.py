"""Pictures of labels: people painted on photographs, and sheets of many such pictures with captions.

Parts have colours that tell what matters at a glance: right limbs are warm, left limbs cold, front and outside bright,
back and inside dark; ignored pixels are grey. U and V are painted from dark blue over green to yellow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from zoo.augment import IGNORE
from zoo.inference import Person
from zoo.metrics import compose

# fmt: off
PALETTE = np.array([
    (0, 0, 0),                            # background
    (110, 40, 130), (240, 220, 60),       # torso: back purple, front yellow
    (255, 150, 150), (150, 255, 255),     # hands: right, left
    (60, 255, 170), (255, 90, 190),       # feet: left, right
    (130, 30, 0), (0, 30, 130),           # upper leg, back: right, left
    (255, 80, 20), (30, 90, 255),         # upper leg, front
    (150, 80, 20), (20, 70, 110),         # lower leg, back
    (255, 160, 50), (70, 170, 255),       # lower leg, front
    (0, 100, 70), (170, 30, 60),          # upper arm, inside: left, right
    (0, 210, 120), (255, 40, 90),         # upper arm, outside
    (20, 120, 110), (160, 60, 110),       # lower arm, inside
    (0, 230, 230), (255, 100, 150),       # lower arm, outside
    (255, 230, 200), (180, 200, 255),     # head: right, left
], np.uint8)
# fmt: on
GREY = (128, 128, 128)
STYLES = ("parts", "u", "v")
_BOX = (40, 220, 40)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class Row(NamedTuple):
    """One case of a sheet: a caption and pictures of about the same shape, uint8 RGB."""

    caption: str
    pictures: Sequence[np.ndarray]


def colours(iuv: np.ndarray, style: str = "parts") -> np.ndarray:
    """Colours of a map (h, w, 3) of I, U, V: uint8 RGB, black at background, grey where ignored."""
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; known: {', '.join(STYLES)}")
    part = iuv[..., 0]
    if style == "parts":
        table = np.full((256, 3), GREY, np.uint8)
        table[: len(PALETTE)] = PALETTE
        return table[part]
    coordinate = np.ascontiguousarray(iuv[..., 1 + (style == "v")])
    picture = cv2.cvtColor(cv2.applyColorMap(coordinate, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    picture[part == 0] = 0
    picture[part == IGNORE] = GREY
    return picture


def paint_map(rgb: np.ndarray, iuv: np.ndarray, style: str = "parts", opacity: float = 0.75) -> np.ndarray:
    """A picture (h, w, 3) with a map of the same size painted over it where somebody is."""
    mixed = cv2.addWeighted(rgb, 1 - opacity, colours(iuv, style), opacity, 0)
    return np.where(iuv[..., :1] > 0, mixed, rgb)


def paint(
    rgb: np.ndarray,
    persons: Sequence[Person],
    style: str = "parts",
    opacity: float = 0.75,
    boxes: bool = True,
) -> np.ndarray:
    """A picture with people painted on it, the best score in front, and their boxes with scores."""
    painted = paint_map(rgb, compose(persons, rgb.shape[:2]), style, opacity)
    return draw_boxes(painted, persons) if boxes else painted


def draw_boxes(rgb: np.ndarray, persons: Sequence[Person]) -> np.ndarray:
    """A copy with boxes and scores."""
    rgb = np.ascontiguousarray(rgb).copy()
    size = max(1, round(min(rgb.shape[:2]) / 250))
    for person in persons:
        x0, y0, x1, y1 = (round(value) for value in person.box)
        cv2.rectangle(rgb, (x0, y0), (x1 - 1, y1 - 1), _BOX, size)
        cv2.putText(rgb, f"{person.score:.2f}", (x0 + 2, y0 + 13 * size), _FONT, 0.45 * size, _BOX, size, cv2.LINE_AA)
    return rgb


def sheet(rows: Sequence[Row], width: int = 1800, height: int = 220, title: str = "") -> np.ndarray:
    """The cases in reading order on lines of at most ``width`` pixels, pictures ``height`` tall: one uint8 RGB picture."""
    lines: list[list[np.ndarray]] = [[]]
    for tile in (_tile(row, height) for row in rows):
        if lines[-1] and sum(t.shape[1] for t in lines[-1]) + tile.shape[1] > width:
            lines.append([])
        lines[-1].append(tile)
    strips = [np.hstack(line) for line in lines if line]
    if title:
        strips.insert(0, _text(title, 28, 0.5))
    if not strips:
        strips = [_text("nothing to show", 28, 0.5)]
    widest = max(strip.shape[1] for strip in strips)
    return np.vstack([_widen(strip, widest) for strip in strips])


def _text(text: str, height: int, scale: float) -> np.ndarray:
    (length, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    strip = np.full((height, length + 8, 3), 255, np.uint8)
    cv2.putText(strip, text, (3, round(height * 0.7)), _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _tile(row: Row, height: int) -> np.ndarray:
    pictures = []
    for picture in row.pictures:
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        shrinks = picture.shape[0] > height
        fitted = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
        pictures.append(np.pad(fitted, ((0, 0), (0, 2), (0, 0)), constant_values=255))
    strip = np.hstack([*pictures, np.full((height, 10, 3), 255, np.uint8)])
    captions = [_text(line, 17, 0.4) for line in row.caption.split("\n")]
    width = max(part.shape[1] for part in (strip, *captions))
    return np.vstack([_widen(part, width) for part in (*captions, strip)])


def _widen(picture: np.ndarray, width: int) -> np.ndarray:
    return np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=255)
