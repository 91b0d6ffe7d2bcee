"""Labels for people whom the teacher left out."""

import json

import cv2
import numpy as np
import pytest
import torch

from zoo import checkpoint, data, passersby
from zoo.augment import IGNORE, SOMEBODY, UNKNOWN
from zoo.config import get_config
from zoo.network import ParsingRCNN
from zoo.tests.test_data import write_picture
from zoo.tests.test_relabel import views

BOX = np.array([10, 10, 50, 90], np.float32)


def scene():
    """A picture in which nobody has a label."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (100, 80, 3)).astype(np.uint8), (0, 0), 4)
    label = np.zeros((100, 80, 4), np.uint8)
    label[..., 3] = UNKNOWN
    return image, label


def half_body(probability=0.9):
    """Views of a body in the upper half of the box and background below."""
    each, likely, u, v = views(2, probability)
    each[:, 4:] = 0
    likely[:, 4:] = (1 - probability) / 24
    likely[0, 4:] = probability
    return each, likely, u, v


def test_what_is_sure_becomes_the_label():
    image, label = scene()
    result = passersby.marked(image, label, BOX, half_body())
    assert (result[20:40, 15:45] == (2, 51, 102, 1)).all()
    assert not result[60:90, 10:50].any(), "background in the box"
    assert (result[:10, :, 3] == UNKNOWN).all() and not result[:10, :, 0].any(), "nobody looked outside"


def test_what_the_views_disagree_on_stays_open():
    image, label = scene()
    answers = half_body()
    answers[0][2, 0] = 1  # one view calls the top of the torso its back
    result = passersby.marked(image, label, BOX, answers)
    top = result[10:20, 10:50]
    assert not ((top[..., 0] > 0) & (top[..., 0] != IGNORE)).any(), "what is left of it when the outline was sharpened"
    assert (top[..., 0] == IGNORE).any() and (result[25:40, 15:45, 0] == 2).all()


def test_people_with_labels_stay_open():
    image, label = scene()
    label[20:30, 20:30] = (5, 0, 0, 1)
    label[5:9, :5] = (IGNORE, 0, 0, SOMEBODY)
    result = passersby.marked(image, label, BOX, half_body())
    assert (result[20:30, 20:30] == (IGNORE, 0, 0, 0)).all()
    assert not result[5:9, :5, 0].any(), "only where somebody else is known to be"


@pytest.mark.parametrize("why", ["unsure", "few", "small"])
def test_who_is_doubtful_gets_no_label(why):
    image, label = scene()
    answers, box = half_body(0.5 if why == "unsure" else 0.9), BOX
    if why == "few":
        answers[0][0, :3] = 1
    if why == "small":
        box = np.array([10, 10, 30, 40], np.float32)
    assert passersby.marked(image, label, box, answers) is None


@pytest.mark.parametrize("parts, expected", [([1] * 4 + [2, 9], "back"), ([2] * 5 + [1], "front"), ([1, 2], "side/unknown"), ([9], "side/unknown")])
def test_facing(parts, expected):
    iuv = np.zeros((1, len(parts), 3), np.uint8)
    iuv[0, :, 0] = parts
    assert passersby.facing(iuv) == expected


def network(tmp_path):
    """A tiny network that takes everything for a person."""
    torch.manual_seed(1)
    model = ParsingRCNN(get_config("tiny"))
    model.roi_heads["box_predictor"].cls_score.bias.data[0] = 9
    checkpoint.save(tmp_path / "net.pt", model)
    return checkpoint.load(tmp_path / "net.pt")


def test_the_box_head_moves_the_box(tmp_path):
    model, (image, _) = network(tmp_path), scene()
    head = model.roi_heads["box_predictor"].bbox_pred
    torch.nn.init.zeros_(head.weight)
    head.bias.data = torch.tensor([0.0, 1.0, 0.0, 5 * np.log(0.5)]).float()  # a tenth of its height down, half as tall
    box, likely = passersby.judged(model, image, BOX)
    assert box == pytest.approx([10, 38, 50, 78], abs=0.01) and likely > 0.7


def test_nobody_is_found_twice_or_over_somebody_with_a_label(tmp_path, monkeypatch):
    model, (image, label) = network(tmp_path), scene()
    monkeypatch.setattr(passersby, "judged", lambda model, image, box: (box, 0.9))
    monkeypatch.setattr(passersby, "answers", lambda model, image, box: half_body())
    picture = data.Picture(image, label, 0, 1.0)
    assert len(passersby.found(model, picture, [BOX, BOX + 1])) == 1
    label[10:90, 10:50] = (2, 0, 0, 1)
    assert passersby.found(model, data.Picture(image, label, 1, 1.0), [BOX]) == []


def test_command_line(tmp_path, capsys, monkeypatch):
    network(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    write_picture(photos, boxes=[[10, 10, 30, 110]], ignore_boxes=[[40, 10, 75, 110]], complete=False)
    write_picture(photos, "b", split="val", ignore_boxes=[[40, 10, 75, 110]])
    out = tmp_path / "out"
    arguments = [str(tmp_path / "net.pt"), "--photos", str(photos), "--out", str(out), "--workers", "1"]
    assert passersby.main(arguments) == 0
    assert "1/1 pictures" in capsys.readouterr().out
    assert passersby.main(arguments) == 0 and "1/1" not in capsys.readouterr().out, "nothing is made twice"
    assert (out / "seen.txt").read_text().split() == ["a.jpg"]


def test_entries_can_be_trained_on(tmp_path):
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    write_picture(folder, boxes=[[0, 0, 8, 100]], ignore_boxes=[[10, 10, 50, 90]], complete=False)
    entry = data.read_index(folder)[0]
    record = json.loads((folder / "index.jsonl").read_text()) | {"file": str(entry.image)}
    size = data.load(entry).image.shape[:2]
    label = passersby.marked(np.zeros((*size, 3), np.uint8), np.zeros((*size, 4), np.uint8), BOX, half_body())
    records = passersby.written(entry, record, out, [([10, 10, 50, 50], label, 0.9)])
    (out / "index.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    (again,) = data.read_index(out)
    picture = data.load(again)
    assert picture.people == 1 and again.front and not again.complete
    own = picture.label[..., 3] == 1
    assert (picture.label[own, 0] == 2).mean() > 0.8
    assert (picture.label[..., 3] == SOMEBODY)[:100, :8].all(), "those with labels of their own"


@pytest.mark.parametrize("missing", ["net.pt", "photos"])
def test_what_is_missing_is_named(tmp_path, capsys, missing):
    if missing == "photos":
        network(tmp_path)
    arguments = [str(tmp_path / "net.pt"), "--photos", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]
    assert passersby.main(arguments) == 1
    assert missing in capsys.readouterr().err


def test_given_labels_are_never_overwritten(tmp_path, capsys):
    network(tmp_path)
    folder = write_picture(tmp_path)
    assert passersby.main([str(tmp_path / "net.pt"), "--photos", str(folder), "--out", str(folder), "--workers", "1"]) == 1
    assert "another folder" in capsys.readouterr().err
