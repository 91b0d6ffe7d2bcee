"""Front views turned into back views: the face becomes hair, the labels those of the body's other side.

Seen from behind, a standing person has the outline of the mirrored front view, so what lies left in the picture is the
left side of the body. Clothes look much alike from both sides; what tells a back is above all a head without a face.
Photographs of dressed people from behind are rare in the training data (240 of 3768) and so are their labels, because
the teacher takes backs for fronts. U and V of the other side are not known, only the parts are.
"""

from __future__ import annotations

import cv2
import numpy as np

from .augment import IGNORE, PARTS

# Part seen from the front -> part in its place seen from behind. Torso, thighs and calves show the other half, hands,
# feet and head the other side's; arms of people seen from behind show their outside (95 % of the pixels in real backs).
BEHIND = {
    2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 9: 8, 10: 7, 13: 12, 14: 11,
    15: 18, 17: 18, 16: 17, 18: 17, 19: 22, 21: 22, 20: 21, 22: 21, 23: 24, 24: 23,
}  # fmt: skip

LEAST_HEAD = 60  # pixels of head and of torso that a turned person must show
LEAST_TORSO = 150
LEAST_TALL = 2.0  # height by width of a body that stands; who sits or bends does not look alike from behind
HAIR_COLOURS = [(25, 20, 18), (50, 36, 28), (85, 60, 42), (135, 100, 66), (185, 155, 110), (110, 52, 30), (150, 148, 145)]


def _table() -> np.ndarray:
    table = np.full(256, IGNORE, np.uint8)  # a back part in a front view (the inside of a calf) has no certain counterpart
    table[0] = 0
    for front, behind in BEHIND.items():
        table[front] = behind
    return table


_BEHIND = _table()


def turned(image: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Picture (h, w, 3) and label (h, w, 4), as in `augment`, of one standing person seen from the front -> from behind.

    U and V of the result are 0 and mean nothing. None where the person shows too little of head or torso, so that
    nothing could tell front from back, or does not stand upright.
    """
    part = label[..., 0]
    head, torso = (part == 23) | (part == 24), (part == 1) | (part == 2)
    if np.count_nonzero(head) < LEAST_HEAD or np.count_nonzero(torso) < LEAST_TORSO:
        return None
    (head_x, head_y), (torso_x, torso_y) = _centre(head), _centre(torso)
    rows, columns = np.nonzero((part > 0) & (part <= PARTS))
    stands = np.ptp(rows) >= LEAST_TALL * np.ptp(columns) and torso_y - head_y > 1.5 * abs(torso_x - head_x)
    if not stands:
        return None
    image = _cover_face(image, label, head, rng)
    label = label.copy()
    label[..., 0] = _BEHIND[part]
    label[..., 1:3] = 0
    return image, label


def _centre(mask: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return columns.mean(), rows.mean()


def _cover_face(image: np.ndarray, label: np.ndarray, head: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The back of a head over its front: hair that ends somewhere between ears and shoulder blades, skin below short hair."""
    rows, columns = np.nonzero(head)
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    tall, wide = bottom - top, right - left
    height, width = head.shape
    region = _filled(head, max(1, round(0.06 * wide)))
    y = (np.arange(height)[:, None] - top) / tall  # 0 at the crown, 1 at the chin
    x = (np.arange(width)[None, :] - (left + right - 1) / 2) / wide  # -0.5..0.5 from ear to ear
    crown = head & (y < 0.2)
    hair_colour = np.median(image[crown], axis=0) if crown.any() else np.array(HAIR_COLOURS[1])
    if rng.random() < 0.5:
        hair_colour = np.array(HAIR_COLOURS[rng.integers(len(HAIR_COLOURS))]) * rng.uniform(0.7, 1.3)
    face = head & (y > 0.45) & (y < 0.8) & (abs(x) < 0.25)
    skin_colour = np.median(image[face], axis=0) if face.any() else hair_colour
    end = rng.uniform(0.6, 0.9) if rng.random() < 0.6 else rng.uniform(1.0, 1.9)  # short or long, in heads
    ragged = end + 0.08 * cv2.GaussianBlur(rng.standard_normal((1, width)).astype(np.float32), (0, 0), max(wide / 12, 1)) * 3
    if end < 1.0:
        hair, skin = region & (y < ragged), region & (y >= ragged)
    else:
        person = (label[..., 0] > 0) | (label[..., 3] > 0)
        flowing = (abs(x) < 0.42 + 0.1 * (y - 0.5)) & (y > 0.4) & (y < ragged) & person
        hair, skin = region | flowing, np.zeros_like(region)
    shading = (1.08 - 1.1 * x**2 - 0.12 * np.clip(y, 0, 2)).astype(np.float32)
    strands = rng.standard_normal((height, width)).astype(np.float32)
    strands = cv2.GaussianBlur(strands, (0, 0), sigmaX=max(wide / 60, 0.6), sigmaY=max(tall / 8, 1.5))
    strands *= rng.uniform(0.05, 0.2) / max(float(strands.std()), 1e-6)
    result = image.astype(np.float32)
    for mask, colour, texture in ((skin, skin_colour, 0.2), (hair, hair_colour, 1.0)):
        alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(wide / 40, 0.6))[..., None]
        result += (np.asarray(colour) * (shading + texture * strands)[..., None] - result) * alpha
    return np.clip(result + 0.5, 0, 255).astype(np.uint8)


def _filled(mask: np.ndarray, margin: int) -> np.ndarray:
    """The mask's convex hull, ``margin`` pixels wider."""
    rows, columns = np.nonzero(mask)
    hull = cv2.convexHull(np.column_stack([columns, rows]).astype(np.int32))
    filled = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), hull, 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return cv2.dilate(filled, kernel) > 0
