"""How sure a figure is, and whether two networks differ: bootstrap over pictures.

A figure is a ratio of sums over pictures, such as found people / people, so a `Row` holds each picture's two numbers.
Pictures are drawn with replacement, for both networks the same ones: what is hard about a picture is hard for both, so
differences are far surer than the figures themselves. Frames of one clip count as pictures of their own; where a set has
many of them, intervals are too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

DRAWS = 4000
LEVEL = 0.95


class Row(NamedTuple):
    """A figure's numerator and denominator on one picture; (0, 0) where the picture says nothing about it."""

    over: float
    under: float


class Interval(NamedTuple):
    """A value and the bounds of its 95 % bootstrap interval; NaN where no picture has a denominator."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "-" if np.isnan(self.value) else f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Difference:
    """How much larger the first network's figure is than the second's, and what that means (better, worse, none)."""

    first: Interval
    second: Interval
    change: Interval
    verdict: str


def mean_row(values: Sequence[float]) -> Row:
    """The row of a mean over people: those of one picture; NaN does not count."""
    known = [value for value in values if not np.isnan(value)]
    return Row(float(np.sum(known)), float(len(known)))


def interval(rows: Sequence[Row]) -> Interval:
    """A figure and its interval."""
    table = _table(rows)
    return _interval(_ratio(table.sum(0)), _ratio(_drawn(table)))


def difference(first: Sequence[Row], second: Sequence[Row], more_is_better: bool) -> Difference:
    """Two networks' rows on the same pictures, in the same order."""
    if len(first) != len(second):
        raise ValueError(f"rows of {len(first)} and of {len(second)} pictures cannot be paired")
    tables = _table(first), _table(second)
    values, draws = [_ratio(table.sum(0)) for table in tables], [_ratio(_drawn(table)) for table in tables]
    change = _interval(values[0] - values[1], draws[0] - draws[1])
    verdict = "none"
    if change.low > 0 or change.high < 0:
        verdict = "better" if (change.low > 0) == more_is_better else "worse"
    return Difference(_interval(values[0], draws[0]), _interval(values[1], draws[1]), change, verdict)


def differences(
    first: Mapping[str, Sequence[Row]], second: Mapping[str, Sequence[Row]], less_is_better: Sequence[str] = ()
) -> dict[str, Difference]:
    """`difference` of every figure that both networks have."""
    return {name: difference(rows, second[name], name not in less_is_better) for name, rows in first.items() if name in second}


def _table(rows: Sequence[Row]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 2)


def _drawn(table: np.ndarray) -> np.ndarray:
    """(DRAWS, 2) sums over as many pictures as there are, drawn anew; the same ones for tables of the same length."""
    rng = np.random.default_rng(0)
    count = len(table)
    return np.stack([table[rng.integers(count, size=count)].sum(0) for _ in range(DRAWS)]) if count else np.zeros((DRAWS, 2))


def _ratio(sums: np.ndarray) -> np.ndarray:
    over, under = sums[..., 0], sums[..., 1]
    return np.divide(over, under, out=np.full(np.shape(over), np.nan), where=under > 0)


def _interval(value: np.ndarray, draws: np.ndarray) -> Interval:
    known = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(known):
        return Interval(np.nan, np.nan, np.nan)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))
