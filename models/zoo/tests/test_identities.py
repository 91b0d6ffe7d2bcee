import numpy as np
import pytest

from zoo.identities import Identities


def box(x):
    return np.array([x, 0, x + 10, 20], float)


def measured(frames):
    identities = Identities()
    for known, found in frames:
        identities.add({k: box(x) for k, x in known.items()}, {i: box(x) for i, x in found.items()})
    return identities.result()


def test_who_is_always_found_under_one_id_is_known_wholly():
    result = measured(({1: k, 2: 50 - k}, {7: k + 1, 9: 50 - k}) for k in range(10))
    assert result == {"idf1": 1, "recall": 1, "precision": 1, "switches": 0, "fragments": 0}


def test_two_who_exchange_their_ids():
    frames = [({1: 0, 2: 50}, {1: 0, 2: 50} if k < 6 else {1: 50, 2: 0}) for k in range(10)]
    result = measured(frames)
    assert result["idf1"] == pytest.approx(0.6) and result["switches"] == 2 and result["recall"] == 1


def test_who_is_lost_for_a_while():
    same = measured(({1: 0}, {} if 3 <= k < 5 else {1: 0}) for k in range(10))
    assert same["fragments"] == 1 and same["switches"] == 0 and same["recall"] == 0.8
    other = measured(({1: 0}, {} if 3 <= k < 5 else {1 + (k >= 5): 0}) for k in range(10))
    assert other["fragments"] == 1 and other["switches"] == 1 and other["idf1"] == pytest.approx(2 * 5 / 18, abs=1e-4)


def test_a_match_is_kept_while_it_fits():
    # Another one overlaps more for one frame.
    result = measured(({1: 0}, {1: 2, 2: 0} if k == 4 else {1: 0}) for k in range(8))
    assert result["switches"] == 0 and result["precision"] == pytest.approx(8 / 9, abs=1e-4)


def test_nobody_and_things_that_are_none():
    assert measured([])["idf1"] == 0
    assert measured([({}, {1: 0})] * 3)["precision"] == 0
    assert measured([({1: 0}, {})] * 3)["recall"] == 0
    assert measured([({1: 0}, {1: 40})] * 3)["idf1"] == 0
