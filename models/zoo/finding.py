"""Who is found, and who is not there: figures that need outlines alone, or nobody at all.

* *found*: share of the people whose outline somebody shown has by an IoU of `FOUND` or more; of all who are at least
  `SMALL` pixels tall, and of the large ones (`LARGE`), with the picture's shorter side at 256 pixels,
* *outline*: mean IoU of the best outline with the true one, 0 where nobody is shown; people whose outlines were made by hand,
* *false*: people shown of whom more than half lies where nobody is.

Pixels about which the truth says nothing do not count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.augment import SOMEBODY
from zoo.inference import Person
from zoo.metrics import compose
from zoo.paired import Row

SIDE = 256  # shorter side of a picture in which heights are taken
SMALL, LARGE = 24, 96
FOUND = 0.5


def outlines(whose: np.ndarray, shown: Sequence[Person], people: int) -> tuple[np.ndarray, list[bool]]:
    """Best IoU (people,) of anybody ``shown`` with person 1..``people`` of ``whose`` (h, w; as P in `augment`), and who is false."""
    known = whose < SOMEBODY
    best, false = np.zeros(people), []
    areas = np.bincount(whose[known].ravel(), minlength=people + 1)
    for person in shown:
        body = compose([person], whose.shape)[..., 0] > 0
        seen = np.bincount(whose[body & known].ravel(), minlength=people + 1)[: people + 1]
        union = areas[1 : people + 1] + seen.sum() - seen[1:]
        best = np.maximum(best, seen[1:] / np.maximum(union, 1))
        false.append(bool(seen[0] > 0.5 * max(body.sum(), 1)))
    return best, false


def people_rows(whose: np.ndarray, boxes: np.ndarray, shown: Sequence[Person], by_hand: bool) -> dict[str, Row]:
    """A picture's rows; ``boxes`` (n, 4) are those of the people 1..n."""
    best, false = outlines(whose, shown, len(boxes))
    tall = (boxes[:, 3] - boxes[:, 1]) * SIDE / min(whose.shape)
    visible = np.array([(whose == number).any() for number in range(1, len(boxes) + 1)], bool)
    everybody, large = visible & (tall >= SMALL), visible & (tall >= LARGE)
    measured = everybody & by_hand
    return {
        "found, all": Row(float((best[everybody] >= FOUND).sum()), float(everybody.sum())),
        "found, large": Row(float((best[large] >= FOUND).sum()), float(large.sum())),
        "outline IoU": Row(float(best[measured].sum()), float(measured.sum())),
        "false per picture": Row(float(sum(false)), 1.0),
    }


def nobody_rows(shown: Sequence[Person]) -> dict[str, Row]:
    """The rows of a picture in which nobody is."""
    return {"false per 100 pictures": Row(100.0 * len(shown), 1.0), "pictures with a false person": Row(float(len(shown) > 0), 1.0)}


LESS_IS_BETTER = ("false per picture", "false per 100 pictures", "pictures with a false person")
