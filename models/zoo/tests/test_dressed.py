"""People in other clothes."""

import numpy as np
import pytest

from zoo import data
from zoo.dressed import BOTTOMS, DRESSES, TOPS, _sewn, dressed
from zoo.teacher import corrected
from zoo.tests.test_data import write_picture


def scene():
    """A striped picture with one person whose torso, arms, legs and head lie one below the other, and a second beside them."""
    image = np.full((160, 80, 3), 150, np.uint8)
    image[::4] = 110  # folds
    label = np.zeros((160, 80, 4), np.uint8)
    for row, part in enumerate((2, 16, 21, 9, 13, 23, 3)):
        label[20 * row : 20 * row + 20, 10:40] = (part, 50, 60, 1)
        label[20 * row : 20 * row + 20, 45:75] = (part, 50, 60, 2)
    return image, label


@pytest.mark.parametrize("seed", range(20))
def test_only_clothes_of_that_person_change(seed):
    image, label = scene()
    before = image.copy()
    rng = np.random.default_rng(seed)
    result = dressed(image, label, 1, rng.integers(0, 256, image.shape, dtype=np.uint8), rng)
    assert np.array_equal(image, before), "the picture that was given stays"
    changed = (result != image).any(axis=-1)
    assert not changed[:, 44:].any() and not changed[:, :6].any(), "neither the other person nor the background"
    assert not changed[103:].any(), "neither head nor hands"


def test_folds_stay_visible():
    image, label = scene()
    result = _sewn(image, label[..., 0] == 2, np.array([[[40.0, 120.0, 60.0]]], np.float32)).astype(int)[2:18, 14:36]
    dark = np.arange(2, 18) % 4 == 0
    assert (result.argmax(axis=-1) == 1).all(), "the cloth is green"
    assert result[dark, :, 1].max() + 10 < result[~dark, :, 1].min()


def test_garments_are_made_of_parts_that_wear_clothes():
    for parts in TOPS + BOTTOMS + DRESSES:
        assert len(set(parts)) == len(parts) and not {3, 4, 5, 6, 23, 24} & set(parts)


def test_too_little_cloth_is_left_alone():
    image, label = scene()
    label[..., 0][label[..., 0] > 0] = 23
    label[:3, 10:20, 0] = 2
    for seed in range(10):
        assert np.array_equal(dressed(image, label, 1, image, np.random.default_rng(seed)), image)


def test_collections_dress_people_anew(tmp_path):
    collection = data.Collection([write_picture(tmp_path)])
    rng = np.random.default_rng(0)
    original = data.load(collection.photos[0])
    pictures = [collection.draw(rng) for _ in range(60)]
    other = [p for p in pictures if (p.image != original.image).any()]
    assert 5 < len(other) < 30
    assert all(np.array_equal(p.label, corrected(original.label)) for p in pictures), "labels stay, but for the teacher's faults"
