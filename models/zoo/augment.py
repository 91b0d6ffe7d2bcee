"""Augmentations: exact label mirroring, geometry, and what cameras do to pixels.

Pictures are uint8 RGB (h, w, 3). Labels are uint8 (h, w, 4) with the channels I, U, V, P:

* I: 0 background, 1..24 DensePose part (left and right are the person's own), `BODY` a person's pixel of unknown part,
  255 ignore,
* U, V: ``round(255 * u)``, zero where I is 0, `BODY` or 255,
* P: whom the pixel belongs to: 0 nobody, 1..``MAX_PEOPLE`` a labelled person, `SOMEBODY` a person
  without labels, `UNKNOWN` no statement about who is there (boxes proposed there are neither right nor wrong).

Every function draws its randomness from the ``numpy.random.Generator`` it is given.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

IGNORE = 255
BODY = 254
SOMEBODY = 254
UNKNOWN = 255
MAX_PEOPLE = 250
PARTS = 24

# Parts that change places when a picture is mirrored; 1 and 2 (torso back, front) stay.
MIRRORED_PARTS = [
    (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14),
    (15, 16), (17, 18), (19, 20), (21, 22), (23, 24),
]  # fmt: skip


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    part = np.arange(256, dtype=np.uint8)
    for a, b in MIRRORED_PARTS:
        part[a], part[b] = b, a
    flip_u, flip_v = np.zeros(256, bool), np.zeros(256, bool)
    flip_v[[1, 2]] = True  # the torso's V runs from side to side
    flip_u[[3, 4, 5, 6, 23, 24]] = True  # as does U on hands, feet and head
    return part, flip_u, flip_v


MIRRORED, FLIPS_U, FLIPS_V = _tables()  # by part: its name in the mirrored picture; whether U, V become 1 - U, 1 - V


def labelled(whose: np.ndarray) -> np.ndarray:
    """Where the channel P says that a labelled person is."""
    return (whose > 0) & (whose <= MAX_PEOPLE)


def mirror_label(label: np.ndarray) -> np.ndarray:
    """Label of the left-right mirrored picture; channels beyond I, U, V are only mirrored in place.

    The exchange of parts and the rules for U and V follow from the symmetry of the DensePose atlas:
    torso V -> 1 - V; hands, feet, head U -> 1 - U; arms and legs keep both.
    """
    label = label[:, ::-1].copy()
    parts = label[..., 0]
    for channel, flips in ((1, FLIPS_U), (2, FLIPS_V)):
        chosen = flips[parts]
        label[..., channel][chosen] = 255 - label[..., channel][chosen]
    label[..., 0] = MIRRORED[parts]
    return label


def warp(
    image: np.ndarray, label: np.ndarray, matrix: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Affine view of a picture: (image, label, covered), each of ``size`` (height, width).

    ``matrix`` (2, 3) maps source to result coordinates, pixel centres at +0.5. The picture is shrunk
    with an area filter first, so that small results are not aliased; labels take the nearest pixel.
    ``covered`` is uint8, 255 where the picture reaches.
    """
    height, width = size
    scale = math.sqrt(abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]))
    image_matrix, label_matrix = _centred(matrix), _centred(matrix)
    covered = np.full(image.shape[:2], 255, np.uint8)
    covered = cv2.warpAffine(covered, label_matrix, (width, height), flags=cv2.INTER_NEAREST)
    if scale < 0.75:
        small = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        shrink = np.array([image.shape[1] / small[0], image.shape[0] / small[1]])
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        shrunk = matrix.copy()
        shrunk[:, :2] *= shrink
        image_matrix = _centred(shrunk)
    image = cv2.warpAffine(
        image, image_matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    label = cv2.warpAffine(label, label_matrix, (width, height), flags=cv2.INTER_NEAREST)
    return image, label, covered


def own_colours(image: np.ndarray, mask: np.ndarray, border: int = 1) -> np.ndarray:
    """Picture (h, w, 3), float32, in which what ``mask`` (h, w), 0 or 255, shows has the colours from inside it at its border.

    A border of ``border`` pixels mixes with what was behind; on another background it would be a fringe that gives every
    outline away.
    """
    inside = cv2.erode(mask, np.ones((2 * border + 1,) * 2, np.uint8), borderValue=255)
    reach = (4 * border + 1,) * 2
    weight = cv2.blur(inside.astype(np.float32), reach)[..., None]
    inner = cv2.blur(image * (inside[..., None] / np.float32(255)), reach) * 255 / np.maximum(weight, 1)
    return np.where((inside == 0)[..., None] & (weight > 1), inner, image.astype(np.float32))


def _centred(matrix: np.ndarray) -> np.ndarray:
    """The same map for OpenCV, whose pixel centres lie on whole numbers."""
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    return matrix


def view_matrix(
    scale: float, degrees: float, source: tuple[float, float], target: tuple[float, float], stretch: float = 1.0
) -> np.ndarray:
    """(2, 3) map that scales (x by ``stretch`` more), turns, and puts the point ``source`` on ``target`` (x, y)."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    linear = np.array([[cos * stretch, -sin], [sin * stretch, cos]])
    return np.column_stack([linear, np.asarray(target) - linear @ np.asarray(source)])


def photograph(image: np.ndarray, rng: np.random.Generator, flawed: bool = False) -> np.ndarray:
    """What light, lens, sensor and codec do: tone, colour, blur, noise, low resolution, JPEG. Uint8 RGB in and out.

    A picture that is ``flawed`` already, as renders are (`synthesis.effects`), only changes its tone and colour.
    """
    image = _tone(image, rng)
    if flawed:
        return image
    if rng.random() < 0.2:
        image = _blur(image, rng)
    if rng.random() < 0.1:
        image = _low_resolution(image, rng)
    if rng.random() < 0.25:
        image = _noise(image, rng)
    if rng.random() < 0.4:
        image = _jpeg(image, rng)
    return image


def _tone(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gamma, contrast, brightness, white balance (one table per channel), saturation; now and then low light."""
    x = np.arange(256, dtype=np.float32) / 255.0
    gamma = math.exp(rng.normal(0.0, 0.2))
    contrast = math.exp(rng.normal(0.0, 0.12))
    brightness = rng.normal(0.0, 0.05)
    if rng.random() < 0.06:  # low light: dark, flat
        gamma, contrast, brightness = gamma * rng.uniform(1.2, 1.8), contrast * rng.uniform(0.5, 0.9), brightness - 0.03
    balance = np.exp(rng.normal(0.0, 0.05, 3))
    table = ((x[:, None] ** gamma - 0.5) * contrast + 0.5 + brightness) * balance
    image = cv2.LUT(image, (np.clip(table, 0, 1) * 255.0 + 0.5).astype(np.uint8)[None])
    saturation = 0.0 if rng.random() < 0.06 else math.exp(rng.normal(0.0, 0.25))
    if abs(saturation - 1.0) > 0.1:
        gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, saturation, gray, 1.0 - saturation, 0.0)
    return image


def _blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus (Gaussian), or a line of motion in any direction."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3))
    length = int(rng.integers(3, 7))
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, math.pi), (length - 1) / 2
    end = (middle * math.cos(angle), middle * math.sin(angle))
    points = [(round(middle - end[0]), round(middle - end[1])), (round(middle + end[0]), round(middle + end[1]))]
    cv2.line(kernel, points[0], points[1], 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _low_resolution(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    factor = rng.uniform(0.4, 0.85)
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sensor noise: independent per pixel, the same or other in the three channels."""
    sigma = rng.uniform(2.0, 11.0)
    channels = 1 if rng.random() < 0.4 else 3
    noise = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32) * sigma
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    quality = int(rng.integers(25, 90))
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)
