"""Where U and V lie in labels: python -m zoo.coordinates [--photos FOLDER] [--synthetic FOLDER] [--pairs FOLDER]

Labels of different origin should agree about the people they show, so per part, over people seen from the front, the means
of U and V and their spread (standard deviation within one person's part) tell a chart that is shifted, reversed or drawn to
its middle. The table gives mean and spread per set, in 0..1; parts that fewer than `LEAST_PEOPLE` show are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

import numpy as np

from zoo import data, markdown
from zoo.augment import PARTS
from zoo.evaluate import InputError, add_set_arguments, given_sets
from zoo.metrics import Truth, view

LEAST_PIXELS = 60  # of a part that is worth its mean
LEAST_PEOPLE = 3


def people(truth: Truth) -> Iterable[np.ndarray]:
    """I, U, V of each labelled person, or of the whole picture where people are not told apart."""
    if truth.boxes is None:
        return [truth.whole()]
    return (truth.person(number) for number in range(1, len(truth.boxes) + 1))


def part_statistics(maps: Iterable[np.ndarray]) -> dict[int, np.ndarray]:
    """By part, mean over people of (mean U, mean V, spread of U, spread of V), each in 0..1; maps are (h, w, 3) I, U, V."""
    found = {}
    for iuv in maps:
        for part in range(1, PARTS + 1):
            uv = iuv[iuv[..., 0] == part][:, 1:] / 255.0
            if len(uv) >= LEAST_PIXELS:
                found.setdefault(part, []).append([*uv.mean(axis=0), *uv.std(axis=0)])
    return {part: np.mean(rows, axis=0) for part, rows in sorted(found.items()) if len(rows) >= LEAST_PEOPLE}


def table(sets: dict[str, dict[int, np.ndarray]]) -> str:
    """Markdown: a row per part, per set the means of U and V and behind each its spread."""
    head = ["part", *(f"{name}: {c}" for name in sets for c in "UV")]
    rows = []
    for part in sorted(set().union(*sets.values())):
        cells = [str(part)]
        for figures in sets.values():
            if part not in figures:
                cells += ["-", "-"]
                continue
            u, v, u_spread, v_spread = figures[part]
            cells += [f"{u:.2f} ± {u_spread:.2f}", f"{v:.2f} ± {v_spread:.2f}"]
        rows.append(cells)
    return markdown.table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_set_arguments(parser)
    given = given_sets(parser.parse_args())
    if not given:
        parser.error("nothing to measure: give --photos, --synthetic or --pairs")
    sets = {}
    try:
        for name, read in given.items():
            maps = (iuv for example in read() for iuv in people(example.truth) if view(iuv) == "front")
            sets[name] = part_statistics(maps)
    except (data.DataError, InputError, OSError) as error:
        sys.exit(f"error: {error}")
    print(table(sets))


if __name__ == "__main__":
    main()
