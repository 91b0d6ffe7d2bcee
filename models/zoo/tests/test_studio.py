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


@pytest.mark.parametrize("seed", range(8))
def test_a_backdrop_may_look_like_a_colour(seed):
    picture = backdrop((60, 40), np.random.default_rng(seed), like=np.array([180.0, 60.0, 90.0]))
    red, green, blue = (picture[5, :, channel].mean() for channel in range(3))
    assert red > 1.3 * blue > 1.3 * green and 90 < red <= 255


def test_now_and_then_the_backdrop_has_the_colour_of_the_clothes(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "ALIKE_SHARE", 1.0)
    collection = data.Collection([write_picture(tmp_path)])
    picture = data.load(collection.photos[0])
    picture.image[:] = (20, 120, 200)
    picture.label[..., 0][picture.label[..., 0] > 0] = 2
    canvas = data._in_studio(picture, (96, 64), np.random.default_rng(0))
    wall = canvas.image[canvas.label[..., 3] == 0].mean(axis=0)
    assert wall[0] < wall[1] < wall[2], "blue as the clothes"
    picture.label[..., 0] = 0
    assert data._clothes(picture) is None


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
