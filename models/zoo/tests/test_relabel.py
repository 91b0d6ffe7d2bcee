"""Gaps of labels filled by a network."""

import json

import cv2
import numpy as np
import pytest
import torch

from zoo import augment, checkpoint, data, relabel
from zoo.augment import IGNORE, SOMEBODY
from zoo.config import get_config
from zoo.network import ParsingRCNN
from zoo.teacher import corrected
from zoo.tests.test_data import write_picture

BOX = np.array([10, 10, 50, 90], np.float32)


def network():
    torch.manual_seed(3)
    return ParsingRCNN(get_config("tiny")).eval()


def test_a_mirrored_picture_gets_mirrored_answers():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (100, 80, 3)).astype(np.uint8), (0, 0), 4)
    model = network()
    parts, *means = relabel.answers(model, image, BOX)
    box = BOX.copy()
    box[[0, 2]] = 80 - BOX[[2, 0]]
    parts_there, *means_there = relabel.answers(model, np.ascontiguousarray(image[:, ::-1]), box)
    back = relabel._mirrored(torch.stack(means_there))
    for mean, other in zip(means, back):
        assert (mean - other).abs().mean() < 0.02, "but for the rounding of resampled pixels"
    assert parts.shape == parts_there.shape == (4, *means[0].shape[1:])
    assert torch.allclose(means[0].sum(0), torch.ones(means[0].shape[1:]), atol=1e-5), "a distribution"


def test_mirroring_answers_agrees_with_mirroring_labels():
    label = np.dstack([np.full((1, 25), n, np.uint8) for n in (0, 40, 60, 1)])
    label[0, :, 0] = np.arange(25)
    wanted = augment.mirror_label(label)
    maps = torch.zeros(3, 25, 1, 25)
    maps[0, torch.arange(25), 0, torch.arange(25)] = 1
    maps[1], maps[2] = 40 / 255, 60 / 255
    probability, u, v = relabel._mirrored(maps)
    part = probability.argmax(0)
    assert np.array_equal(part.numpy(), wanted[..., 0])
    for channel, values in ((1, u), (2, v)):
        assert np.array_equal((values.gather(0, part[None])[0] * 255).round().numpy(), wanted[..., channel])


def views(part, probability=0.9, u=0.2, v=0.4, size=8):
    """Answers (as of `relabel.answers`) that are the same everywhere."""
    likely = torch.full((25, size, size), (1 - probability) / 24)
    likely[part] = probability
    return [torch.full((4, size, size), part), likely, torch.full((25, size, size), u), torch.full((25, size, size), v)]


def half_open():
    """A person of right upper arm (16) above and of nothing certain below."""
    label = np.zeros((100, 80, 4), np.uint8)
    label[10:50, 10:50] = (16, 30, 40, 1)
    label[50:90, 10:50] = (IGNORE, 0, 0, 1)
    return label


def test_gaps_get_what_all_views_are_sure_of():
    before = half_open()
    after = relabel.completed(before, 1, BOX, views(16))
    assert (after[50:90, 10:50] == (16, 51, 102, 1)).all()
    assert np.array_equal(after[:50], before[:50]) and np.array_equal(after[:, 50:], before[:, 50:])
    assert np.array_equal(before, half_open()), "the given label stays"


@pytest.mark.parametrize("change", ["unsure", "disagree", "somebody else's"])
def test_gaps_stay_open(change):
    label, answers = half_open(), views(16, probability=relabel.SURE - 0.05 if change == "unsure" else 0.9)
    if change == "disagree":
        answers[0][2] = 18
    if change == "somebody else's":
        label[50:90, 10:50, 3] = SOMEBODY
    assert np.array_equal(relabel.completed(label, 1, BOX, answers), label)


def test_what_the_teacher_called_differently_becomes_open():
    after = relabel.completed(half_open(), 1, BOX, views(18, probability=relabel.CERTAIN + 0.01))
    assert (after[10:50, 10:50] == (IGNORE, 0, 0, 1)).all() and (after[50:90, 10:50, 0] == 18).all()
    unsure = relabel.completed(half_open(), 1, BOX, views(18, probability=relabel.CERTAIN - 0.01))
    assert (unsure[10:50, 10:50, 0] == 16).all()


def test_background_grows_into_a_gap_but_makes_no_holes():
    label = half_open()
    label[50:90, 10:14] = 0
    after = relabel.completed(label, 1, BOX, views(0, probability=0.8))
    assert not after[50:90, 14:16].any(), "beside the background"
    assert (after[55:90, 20:50] == (IGNORE, 0, 0, 1)).all(), "further inside"


def test_command_line(tmp_path, capsys):
    torch.manual_seed(1)
    file = tmp_path / "net.pt"
    checkpoint.save(file, ParsingRCNN(get_config("tiny")))
    photos = tmp_path / "photos"
    photos.mkdir()
    write_picture(photos)
    write_picture(photos, "b", split="val")
    out = tmp_path / "deep" / "out"
    arguments = [str(file), "--photos", str(photos), "--out", str(out), "--workers", "1"]
    assert relabel.main(arguments) == 0
    assert "1/1 pictures" in capsys.readouterr().out
    before, after = ({e.image.name: e for e in data.read_index(folder)} for folder in (photos, out))
    assert before.keys() == after.keys()
    for name, entry in after.items():
        assert np.array_equal(data.load(entry).image, data.load(before[name]).image)
        assert entry.split == before[name].split
    assert np.array_equal(data.load(after["b.jpg"]).label, data.load(before["b.jpg"]).label), "what is compared with stays"
    index = (out / "index.jsonl").read_text()
    assert relabel.main(arguments) == 0
    assert (out / "index.jsonl").read_text() == index, "nothing is made twice"
    assert json.loads(index.splitlines()[0])["boxes"]
    assert [after[name].teacher_uv for name in ("a.jpg", "b.jpg")] == [False, True]
    kept, old = (data.load(entries["a.jpg"]).label for entries in (after, before))
    same = (kept[..., 0] == old[..., 0]) & (kept[..., 0] > 0) & (kept[..., 0] < IGNORE)
    assert np.array_equal(kept[same], corrected(old)[same]) and same.any(), "what the teacher said is corrected, once"


@pytest.mark.parametrize("missing", ["net.pt", "photos"])
def test_what_is_missing_is_named(tmp_path, capsys, missing):
    if missing == "photos":
        checkpoint.save(tmp_path / "net.pt", ParsingRCNN(get_config("tiny")))
    arguments = [str(tmp_path / "net.pt"), "--photos", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]
    assert relabel.main(arguments) == 1
    assert missing in capsys.readouterr().err


def test_given_labels_are_never_overwritten(tmp_path, capsys):
    checkpoint.save(tmp_path / "net.pt", ParsingRCNN(get_config("tiny")))
    folder = write_picture(tmp_path)
    before = (folder / "a.iuv.png").read_bytes()
    assert relabel.main([str(tmp_path / "net.pt"), "--photos", str(folder), "--out", str(folder / "." / ""), "--workers", "1"]) == 1
    assert "another folder" in capsys.readouterr().err
    assert (folder / "a.iuv.png").read_bytes() == before
