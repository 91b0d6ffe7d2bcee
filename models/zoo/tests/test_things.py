"""Things in front of people."""

import cv2
import numpy as np

from zoo import data, things
from zoo.tests.test_data import write_picture
from zoo.things import _cloth, _profile, _solid, thing


def test_things_cover_a_part_of_the_scene():
    rng = np.random.default_rng(0)
    view = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    shares = []
    for _ in range(200):
        mask, picture = thing(view, rng)
        assert mask.shape == (120, 160) and mask.dtype == bool
        assert picture.shape == view.shape and picture.dtype == np.uint8
        shares.append(mask.mean())
    assert max(shares) < 0.6 and np.median(shares) > 0.01


def test_solids_are_round():
    """A lathe's work is lit unevenly across and has an outline that is the same on both sides."""
    rng = np.random.default_rng(3)
    view = np.full((200, 200, 3), 128, np.uint8)
    shaded = 0
    for _ in range(30):
        mask, picture = _solid(view, rng)
        row = np.flatnonzero(mask[100])
        if len(row) > 12:
            shaded += np.ptp(picture[100, row].astype(int).max(axis=-1)) > 20
    assert shaded > 5


def test_cloth_hangs_in_folds():
    """Light goes up and down across; its picture reaches wherever its mask does."""
    rng = np.random.default_rng(4)
    view = np.full((200, 240, 3), 128, np.uint8)
    waves = 0
    for _ in range(40):
        mask, picture = _cloth(view, rng)
        assert mask.shape == view.shape[:2] and picture.shape == view.shape and picture.dtype == np.uint8
        row = np.flatnonzero(mask[100])
        if len(row) > 20:
            light = np.diff(picture[100, row].astype(int).sum(axis=-1))
            waves += np.count_nonzero(np.diff(np.sign(light[light != 0]))) >= 2
    assert waves > 5


def test_things_behind_leave_people_as_they_are(tmp_path):
    picture = data.load(data.read_index(write_picture(tmp_path))[0])
    canvas = data.Canvas.over(np.zeros((200, 300, 3), np.uint8))
    canvas.place(picture, np.array([[1.0, 0, 110], [0, 1.0, 40]]), (0, 0, 300, 200))
    before, people = canvas.label.copy(), canvas.label[..., 3] > 0
    red = np.full(canvas.image.shape, (255, 0, 0), np.uint8)
    seen = canvas.image.copy()
    canvas.cover(np.ones(people.shape, bool), red, behind=True)
    assert (canvas.label[people] == before[people]).all() and (canvas.image[people] == seen[people]).all()
    assert (canvas.image[~people] == (255, 0, 0)).all() and (canvas.label[~people] == 0).all()


def test_profiles_fill_their_width():
    rng = np.random.default_rng(1)
    for _ in range(100):
        half = _profile(64, rng)
        assert half.shape == (64,) and half.max() == 1.0 and half.min() > 0


def test_people_beside_people_overlap_and_are_as_tall(tmp_path):
    picture = data.load(data.read_index(write_picture(tmp_path))[0])
    rng = np.random.default_rng(0)
    nobody = data.Canvas.over(np.zeros((200, 300, 3), np.uint8))
    assert data._view_beside(picture, nobody, rng) is None
    for _ in range(50):
        canvas = data.Canvas.over(np.zeros((200, 300, 3), np.uint8))
        canvas.place(picture, np.array([[1.0, 0, 110], [0, 1.0, 40]]), (0, 0, 300, 200))
        first = data.person_box(canvas.label, 1)
        canvas.place(picture, data._view_beside(picture, canvas, rng), (0, 0, 300, 200), cut_out=True)
        second = data.person_box(canvas.label, 2)
        assert 0.6 < (second[3] - second[1]) / (first[3] - first[1]) < 1.5
        gap = max(first[0], second[0]) - min(first[2], second[2])
        assert gap < 0, "they overlap"


def test_things_from_photographs_keep_their_shape():
    """A red disc with a green corner that is not part of it, in scenes of any size."""
    cut_out = np.zeros((50, 50, 4), np.uint8)
    cut_out[..., :3] = (0, 200, 0)
    cv2.circle(cut_out, (25, 25), 24, (200, 0, 0, 255), -1)
    for seed in range(20):
        mask, picture = things.real((100, 160), np.random.default_rng(seed), cut_out)
        assert mask.shape == (100, 160) and picture.shape == (100, 160, 3)
        if mask.any():
            assert np.median(picture[mask], axis=0).tolist() == [200, 0, 0] and picture[mask][:, 1].mean() < 40
    seen = []
    for seed in range(60):
        mask, picture = things.thing(np.full((80, 80, 3), 9, np.uint8), np.random.default_rng(seed), cut_out)
        seen.append(mask.any() and np.median(picture[mask], axis=0).tolist() == [200, 0, 0])
    assert 20 < sum(seen) < 50, "some things are still painted"
