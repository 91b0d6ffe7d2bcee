"""What is systematically wrong with the teacher's U and V on photographs, taken out before a network learns from them.

The teacher draws U and V to the middle of a part, has the U of the feet near that of the other foot and the V of the thighs
too low. Corrections are made only where two witnesses agree: the official model on the pairs (`zoo.coordinates`), and a
network that had learned these parts from renders alone, on 300 photographs that the teacher had labelled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .augment import PARTS


class Correction(NamedTuple):
    """x -> middle + shift + stretch * (x - middle), for x = U or V in 0..1."""

    middle: float
    stretch: float = 1.0
    shift: float = 0.0


# By part: U, V. Left and right agree with the mirror rules of `augment`.
CORRECTIONS: dict[int, tuple[Correction | None, Correction | None]] = {
    2: (Correction(0.43, 1.08), Correction(0.5, 1.15)),
    5: (Correction(0.43, shift=0.11), None),
    6: (Correction(0.57, shift=-0.11), None),
    9: (None, Correction(0.47, 1.15, 0.085)),
    10: (None, Correction(0.47, 1.15, 0.085)),
    13: (Correction(0.45, 1.15), Correction(0.49, 1.25)),
    14: (Correction(0.45, 1.15), Correction(0.49, 1.25)),
    21: (Correction(0.55, 1.15), Correction(0.6, 1.2)),
    22: (Correction(0.55, 1.15), Correction(0.6, 1.2)),
}


def _tables() -> np.ndarray:
    """(2, 256, 256) uint8: U and V as they should be, by I and by what the teacher says."""
    values = np.arange(256) / 255.0
    tables = np.tile(np.arange(256, dtype=np.uint8), (2, 256, 1))
    for part, corrections in CORRECTIONS.items():
        assert 0 < part <= PARTS
        for table, correction in zip(tables, corrections):
            if correction:
                middle, stretch, shift = correction
                table[part] = np.round(255 * np.clip(middle + shift + stretch * (values - middle), 0, 1))
    return tables


_TABLES = _tables()


def corrected(label: np.ndarray) -> np.ndarray:
    """The teacher's label (h, w, 4), as in `augment`, with U and V nearer to the truth."""
    label = label.copy()
    for channel, table in zip((1, 2), _TABLES):
        label[..., channel] = table[label[..., 0], label[..., channel]]
    return label
