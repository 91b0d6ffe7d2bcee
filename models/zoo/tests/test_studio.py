"""People before a backdrop."""

import numpy as np
import pytest

from zoo import data
from zoo.studio import backdrop, shadow
from zoo.tests.test_data import write_picture


@pytest.mark.parametrize("seed", range(8))
def test_backdrops_are_plain(seed):
    picture = backdrop((60, 40), np.random.default_rng(seed))
    assert picture.shape == (60, 40, 3) and picture.dtype == np.uint8
    across = np.abs(np.diff(picture.astype(int), axis=1))
    assert across.max() <= 6, "no texture from side to side"


def test_shadows_darken_beside_people_only():
    people = np.zeros((80, 60), np.uint8)
    people[20:60, 20:40] = 1
    before = np.full((80, 60, 3), 200, np.uint8)
    after = shadow(before, people, np.random.default_rng(1))
    assert (after <= before).all() and after[40, 30].max() < 195
    assert after[0, 0].min() >= 198


def test_a_studio_shows_the_person_and_nothing_of_the_street(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "STUDIO_SHARE", 1.0)
    collection = data.Collection([write_picture(tmp_path, complete=False)])
    picture = data.load(collection.photos[0])
    canvas = data._in_studio(picture, (96, 64), np.random.default_rng(0))
    whose = canvas.label[..., 3]
    assert set(np.unique(whose)) <= {0, 1}, "what was not looked at is gone, so the rest is background for sure"
    assert (canvas.label[whose == 1][:, 0] > 0).all() and not canvas.label[whose == 0].any()
    assert any(len(data.compose(collection, (96, 64), np.random.default_rng(seed)).boxes) for seed in range(4))
