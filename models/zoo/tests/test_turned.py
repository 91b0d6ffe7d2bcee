"""Front views as back views."""

import json

import cv2
import numpy as np
import pytest

from zoo import augment, data
from zoo.augment import IGNORE
from zoo.turned import BEHIND, turned

STANDING = {  # part: (y0, y1, x0, x1) of somebody facing us; their right is on the left of the picture
    23: (10, 40, 45, 55), 24: (10, 40, 55, 65), 2: (40, 100, 40, 70), 16: (42, 80, 30, 40), 17: (42, 80, 70, 80),
    20: (80, 105, 30, 40), 3: (105, 115, 30, 40), 9: (100, 140, 40, 55), 10: (100, 140, 55, 70),
    13: (140, 180, 40, 55), 14: (140, 180, 55, 70), 7: (130, 138, 53, 55), 5: (180, 190, 55, 70),
}  # fmt: skip


def person(parts=STANDING, size=(200, 110)):
    """Picture and label of a doll with dark hair, light skin and black eyes."""
    image = np.full((*size, 3), (90, 120, 160), np.uint8)
    label = np.zeros((*size, 4), np.uint8)
    for part, (y0, y1, x0, x1) in parts.items():
        image[y0:y1, x0:x1] = (200, 160, 130) if part > 22 else (170, 40, 40)
        label[y0:y1, x0:x1] = (part, 90, 200, 1)
    image[10:15, 45:65] = (60, 40, 30)
    image[22:25, 48:52] = image[22:25, 58:62] = 0
    return image, label


def test_labels_are_those_of_the_other_side():
    image, label = person()
    _, behind = turned(image, label, np.random.default_rng(0))
    seen = {part: behind[(y0 + y1) // 2, (x0 + x1) // 2, 0] for part, (y0, y1, x0, x1) in STANDING.items()}
    expected = {2: 1, 9: 8, 10: 7, 13: 12, 14: 11, 16: 17, 17: 18, 20: 21, 3: 4, 5: 6, 23: 24, 24: 23, 7: IGNORE}
    assert seen == expected
    assert not behind[..., 1:3].any(), "U and V of the other side are not known"
    assert np.array_equal(behind[..., 3], label[..., 3])
    assert np.array_equal(behind[..., 0] == 0, label[..., 0] == 0), "the outline stays"


def test_left_and_right_are_treated_alike():
    mirrored = {a: b for pair in augment.MIRRORED_PARTS for a, b in (pair, pair[::-1])} | {1: 1, 2: 2}
    assert {mirrored[front]: mirrored[behind] for front, behind in BEHIND.items()} == BEHIND


@pytest.mark.parametrize("seed", range(12))
def test_the_face_is_gone_and_the_rest_of_the_picture_is_not(seed):
    image, label = person()
    behind, _ = turned(image, label, np.random.default_rng(seed))
    assert behind.shape == image.shape and behind.dtype == np.uint8
    eye, beside = behind[22:25, 48:52].mean((0, 1)), behind[22:25, 53:57].mean((0, 1))
    assert np.abs(eye - beside).max() < 40, "eyes no longer stand out (by 200 before)"
    assert np.array_equal(behind[110:], image[110:]) and np.array_equal(behind[:, :25], image[:, :25])


def without(*parts):
    return {part: box for part, box in STANDING.items() if part not in parts}


@pytest.mark.parametrize(
    "parts",
    [
        without(23, 24),  # no head in the picture
        without(2),
        {part: (x0, x1, y0, y1) for part, (y0, y1, x0, x1) in STANDING.items()},  # lies
        STANDING | {20: (80, 105, 0, 40), 18: (80, 105, 70, 110)},  # as wide as half of what is tall: arms spread, or sits
    ],
)
def test_who_cannot_be_turned(parts):
    image, label = person(parts, (200, 200))
    assert turned(image, label, np.random.default_rng(0)) is None


@pytest.mark.parametrize(("facing", "some"), [("front", True), ("back", False), ("side/unknown", False)])
def test_only_photographs_from_the_front_are_turned(tmp_path, facing, some):
    image, label = person()
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "a.iuv.png"), label[..., :3])
    record = {"file": "a.png", "iuv": "a.iuv.png", "boxes": [[30, 10, 80, 190]], "complete": True, "facing": facing}
    (tmp_path / "index.jsonl").write_text(json.dumps(record) + "\n")
    collection = data.Collection([tmp_path])
    rng = np.random.default_rng(0)
    drawn = [collection.draw(rng) for _ in range(60)]
    backs = [picture for picture in drawn if (picture.label[..., 0] == 1).any()]
    assert 0 < len(backs) < 30 if some else not backs
    assert all(picture.uv_weight == 0.0 for picture in backs)
