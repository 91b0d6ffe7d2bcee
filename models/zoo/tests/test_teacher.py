"""Corrections of the teacher's U and V."""

import numpy as np
import pytest

from zoo import data
from zoo.augment import IGNORE, mirror_label
from zoo.teacher import CORRECTIONS, corrected
from zoo.tests.test_data import write_picture


def label(parts, u=110, v=140):
    parts = np.array([parts], np.uint8)
    return np.dstack([parts, np.full_like(parts, u), np.full_like(parts, v), np.ones_like(parts)])


def test_parts_and_people_stay_and_the_input_too():
    before = label([0, 2, 5, 9, 23, IGNORE])
    kept = before.copy()
    after = corrected(before)
    assert np.array_equal(before, kept)
    assert np.array_equal(after[..., [0, 3]], before[..., [0, 3]])
    assert np.array_equal(after[0, [0, 4, 5]], before[0, [0, 4, 5]]), "nothing is known of these"


def test_feet_move_towards_each_other_in_u():
    left, right = corrected(label([5, 6]))[0, :, 1].astype(int)
    assert left == 110 + 28 and right == 110 - 28


def test_torsos_are_stretched_about_the_middle():
    assert corrected(label([2], v=51))[0, 0, 2] < 51 < 204 < corrected(label([2], v=204))[0, 0, 2]
    assert corrected(label([2], v=0))[0, 0, 2] == 0 and corrected(label([2], v=255))[0, 0, 2] == 255


def test_correcting_and_mirroring_may_change_places():
    every = np.concatenate([label(sorted(CORRECTIONS), u, v) for u in (5, 90, 250) for v in (5, 90, 250)])
    first, second = mirror_label(corrected(every)), corrected(mirror_label(every))
    assert abs(first.astype(int) - second).max() <= 1


@pytest.mark.parametrize("known", [{}, {"source": "synthetic"}, {"corrected": True}])
def test_photographs_are_corrected_once_and_exact_labels_never(tmp_path, known):
    collection = data.Collection([write_picture(tmp_path, **known)])
    read = data.load(collection.photos[0]).label
    drawn = collection.draw(np.random.default_rng(0)).label
    assert np.array_equal(drawn, read if known else corrected(read))
    assert not np.array_equal(corrected(read), read)
