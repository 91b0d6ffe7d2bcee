"""Labels inside known outlines: what four views say, and what body points contradict."""

import json

import cv2
import numpy as np
import pytest
import torch

from zoo import checkpoint, data, masked
from zoo.augment import BODY
from zoo.config import get_config
from zoo.network import ParsingRCNN

# Somebody upright, seen from the front: the own right side lies left in the picture. x, y of COCO's 17 points.
FRONT = [
    (50, 10), (52, 8), (48, 8), (55, 10), (45, 10), (60, 25), (40, 25), (70, 40), (30, 40), (75, 55), (25, 55),
    (56, 60), (44, 60), (57, 80), (43, 80), (58, 100), (42, 100),
]  # fmt: skip


def points(places=FRONT, score=0.9):
    return np.column_stack([np.array(places, float), np.full(17, score)])


def parts_at(part, *rectangles):
    cells = np.zeros((110, 100), np.uint8)
    for x0, y0, x1, y1 in rectangles:
        cells[y0:y1, x0:x1] = part
    return cells


@pytest.mark.parametrize(("part", "wrong"), [(9, False), (10, True), (13, True), (2, False)])
def test_limbs_at_the_other_sides_limb_are_contradicted(part, wrong):
    """The right thigh's pixels (x 41..46): a right upper leg (9) may be there, a left one (10) or a lower one (13) not."""
    cells = parts_at(part, (41, 60, 46, 70))
    result = masked.contradicted(cells, (0, 0), points(), None)
    if part == 13:  # a lower leg is no contradiction unless it lies far away from one
        assert not result.any()
        assert masked.contradicted(parts_at(13, (41, 20, 46, 30)), (0, 0), points(), None)[20:30, 41:46].all()
    else:
        assert result[60:70, 41:46].all() == wrong and not result[:60].any()
    assert not masked.contradicted(cells, (0, 0), points(score=0.1), None).any(), "unsure points say nothing"
    moved = masked.contradicted(cells, (200, 300), points([(x + 200, y + 300) for x, y in FRONT]), None)
    assert np.array_equal(moved, result), "points are the picture's, parts the box's"


def test_the_wrong_side_of_the_torso_makes_everything_but_the_head_doubtful():
    cells = parts_at(2, (42, 26, 58, 58)) + parts_at(23, (45, 5, 50, 15)) + parts_at(9, (41, 61, 46, 70))
    assert not masked.contradicted(cells, (0, 0), points(), "front").any()
    back = masked.contradicted(cells, (0, 0), points(), "back")
    assert back[cells == 2].all() and back[cells == 9].all() and not back[cells == 23].any()
    cells[30:34, 42:58] = 1  # a patch is wrong by itself alone
    front = masked.contradicted(cells, (0, 0), points(), "front")
    assert np.array_equal(front, cells == 1)
    assert not masked.contradicted(cells, (0, 0), points(), "side").any()


@pytest.mark.parametrize("turns", range(4))
def test_pictures_are_turned_until_the_torso_is_upright(turns):
    lying = points()
    for _ in range(turns):  # clockwise, about the middle of a picture of 110 x 110
        lying[:, :2] = np.column_stack([110 - lying[:, 1], lying[:, 0]])
    assert masked.quarter_turns(lying) == turns
    assert masked.quarter_turns(points(score=0.1)) == 0


def test_peoples_joints_come_before_a_networks_points():
    joints = [[i, 100 + i, 1] for i in range(14)]
    joints[2][2] = 0
    record = {"keypoints": [None, points().tolist()], "joints": [joints, None]}
    first, second = (masked.body_points(record, number) for number in (1, 2))
    assert first[16].tolist() == [0, 100, 1] and first[10].tolist() == [6, 106, 1] and first[5].tolist() == [9, 109, 1]
    assert first[12, 2] == 0 and first[0, 2] == 0
    assert np.array_equal(second, points())


def test_labels_fill_outlines_and_leave_them_as_they_are(tmp_path, monkeypatch):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    person = np.zeros((120, 100), np.uint8)
    person[5:105, 40:60], person[20:80, 70:90], person[5:105, 60:62] = 1, 2, 255
    cv2.imwrite(str(source / "a.person.png"), person)
    cv2.imwrite(str(source / "a.jpg"), np.full((120, 100, 3), 90, np.uint8))
    record = {
        "file": "a.jpg", "person": "a.person.png", "boxes": [[40, 5, 60, 105], [70, 20, 90, 80]], "complete": True,
        "facing": ["back", "front"], "split": "train",
    }  # fmt: skip
    (source / "index.jsonl").write_text(json.dumps(record) + "\n" + json.dumps(record | {"split": "val"}) + "\n")
    checkpoint.save(tmp_path / "network.pt", ParsingRCNN(get_config("tiny")))

    def answers(model, image, box):
        """A front of a torso everywhere, sure and agreed but in the lower half of the box."""
        probability = torch.zeros(25, 8, 8)
        probability[2] = 0.9
        each = torch.full((4, 8, 8), 2)
        each[0, 4:] = 1
        return each, probability, torch.full((25, 8, 8), 0.25), torch.full((25, 8, 8), 0.75)

    monkeypatch.setattr(masked, "answers", answers)
    monkeypatch.setattr(masked.labelling, "by_workers", lambda work, jobs, args: [work(None, job) for job in jobs])
    for _ in range(2):  # the second time nothing is left to do
        assert masked.main([str(tmp_path / "network.pt"), "--photos", str(source), "--out", str(out)]) == 0
        val, train = data.read_index(out)
    assert (train.split, val.split, val.iuv) == ("train", "val", None)
    label, before = data.load(train).label, data.load(val).label
    assert np.array_equal(label[..., 3], before[..., 3]) and np.array_equal(label[..., 3] % 255, person % 255)
    assert (label[5:105, 40:60, 0] == BODY).all(), "the torso's front contradicts a back"
    assert label[30, 80].tolist() == [2, 64, 191, 2]
    assert label[70, 80, 0] == BODY, "views disagree"
    assert (label[..., 0][person == 0] == 0).all() and (label[..., 0][person == 255] == 255).all()
