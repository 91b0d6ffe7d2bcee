"""Who is taken for whom: IDF1, identity switches and fragments of followed people against those who are known.

* IDF1 (Ristani et al., *Performance measures and a data set for multi-target, multi-camera tracking*, 2016): each known person
  is given at most one id, all at once so that the most boxes agree; 2 · agreeing / (known + found).
* `switches` and `fragments` (Bernardin and Stiefelhagen, *Evaluating multiple object tracking performance: the CLEAR MOT
  metrics*, 2008): a known person is found under another id than the last time; a known person is found again after frames in
  which they were not.

Boxes agree from an IoU of 0.5 on.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy.optimize import linear_sum_assignment

from zoo.metrics import box_iou

OVERLAP = 0.5


class Identities:
    """Sums over the frames of a video."""

    def __init__(self) -> None:
        self.pairs: Counter[tuple[int, int]] = Counter()  # frames in which a known person and an id are in one place
        self.known: Counter[int] = Counter()
        self.found: Counter[int] = Counter()
        self.last: dict[int, int] = {}  # id under which a known person was last found
        self.lost: set[int] = set()  # who were found before, but not in the last frame
        self.matched = self.switches = self.fragments = 0

    def add(self, known: dict[int, np.ndarray], found: dict[int, np.ndarray]) -> None:
        """The next frame: boxes (x0, y0, x1, y1) by person and by id."""
        self.known.update(known.keys())
        self.found.update(found.keys())
        people, ids = list(known), list(found)
        if people and ids:
            iou = box_iou(np.stack([known[k] for k in people]), np.stack([found[i] for i in ids]))
        else:
            iou = np.zeros((len(people), len(ids)))
        for row, column in zip(*np.nonzero(iou >= OVERLAP)):
            self.pairs[people[row], ids[column]] += 1
        matches = self._matches(people, ids, iou)
        for person in people:
            if person not in matches:
                self.lost |= {person} & self.last.keys()
                continue
            self.switches += self.last.get(person, matches[person]) != matches[person]
            self.fragments += person in self.lost
            self.lost.discard(person)
            self.last[person] = matches[person]
        self.matched += len(matches)

    def _matches(self, people: list[int], ids: list[int], iou: np.ndarray) -> dict[int, int]:
        """The id of each person in this frame: the one of before where it still fits, else those that overlap most."""
        matches = {}
        free = np.where(iou >= OVERLAP, iou, 0.0)
        for row, person in enumerate(people):
            column = ids.index(self.last[person]) if self.last.get(person) in ids else None
            if column is not None and free[row, column] > 0:
                matches[person] = ids[column]
                free[row], free[:, column] = 0.0, 0.0
        for row, column in zip(*linear_sum_assignment(-free)):
            if free[row, column] > 0:
                matches[people[row]] = ids[column]
        return matches

    def result(self) -> dict[str, float]:
        """IDF1, recall and precision 0..1, and the numbers of switches and fragments."""
        people, ids = sorted(self.known), sorted(self.found)
        together = np.array([[self.pairs[k, i] for i in ids] for k in people], float).reshape(len(people), len(ids))
        agreeing = together[linear_sum_assignment(-together)].sum()
        known, found = self.known.total(), self.found.total()
        return {
            "idf1": round(2.0 * float(agreeing) / max(known + found, 1), 4),
            "recall": round(self.matched / max(known, 1), 4),
            "precision": round(self.matched / max(found, 1), 4),
            "switches": self.switches,
            "fragments": self.fragments,
        }
