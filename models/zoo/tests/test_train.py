"""Short runs of the trainer with the tiny network on one picture."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo import checkpoint, data, targets, train
from zoo.config import CONFIGS, get_config
from zoo.frozen import fold_batch_norm, freeze_stages, pointwise_by_onednn
from zoo.network import ParsingRCNN
from zoo.steps import Sampling, loss_terms
from zoo.tests.test_data import write_picture


@pytest.fixture
def collection(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    return data.Collection([write_picture(folder)])


def options(**changes):
    return train.Options(**({"config": "tiny", "batch_size": 2, "people": 4, "workers": 0, "freeze": 0, "warmup": 2} | changes))


def test_all_terms_fall_on_one_picture(collection, tmp_path):
    torch.manual_seed(0)
    scene = data.compose(collection, (96, 96), np.random.default_rng(0))
    assert len(scene.boxes)
    batch = data.collate([scene, scene])
    trainer = train.Trainer(options(lr=5e-3, backbone_lr=5e-3, steps=10**6), tmp_path, torch.device("cpu"))
    trainer.begin(None)
    first = trainer.train_step(batch)
    for _ in range(60):
        last = trainer.train_step(batch)
    for name in ("loss", "rpn_objectness", "box_class", "coarse", "fine", "u", "v"):
        assert last[name] < 0.8 * first[name], name


def test_resumed_run_equals_the_whole_run(collection, tmp_path):
    whole = train.run(options(steps=4), collection, tmp_path / "whole", torch.device("cpu"), start(tmp_path))
    part = train.Trainer(options(steps=4), tmp_path / "part", torch.device("cpu"))
    part.begin(start(tmp_path))
    for batch in data.batches(data.SceneBatches(collection, 2, 0), range(2), 0):
        part.train_step(batch)
    part.save()
    resumed = train.run(options(steps=4), collection, tmp_path / "part", torch.device("cpu"))
    assert whole.step == resumed.step == 4
    for a, b in ((whole.model, resumed.model), (whole.average, resumed.average)):
        for (name, x), y in zip(a.state_dict().items(), b.state_dict().values()):
            assert torch.equal(x, y), name


def start(folder):
    """A checkpoint to begin from, the same for every run of a test."""
    path = folder / "start.pt"
    if not path.exists():
        torch.manual_seed(1)
        checkpoint.save(path, ParsingRCNN(get_config("tiny")))
    return path


def test_run_leaves_a_log_and_weights_that_load(collection, tmp_path):
    trainer = train.run(options(steps=3, log_every=1), collection, tmp_path / "run", torch.device("cpu"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert {"loss", "rpn_objectness", "box_class", "fine", "u", "lr", "scenes_per_s", "eta_minutes"} <= lines[0].keys()
    loaded = checkpoint.load(tmp_path / "run" / "last.pt").state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in trainer.average.state_dict().items())


def test_two_processes_share_the_batches(collection, tmp_path):
    plan = ["--photos", str(tmp_path / "photos"), "--config", "tiny", "--batch-size", "2", "--people", "2", "--workers", "0"]
    plan += ["--log-every", "1", "--processes", "2", "--threads", "1", "--steps", "2", "--out", str(tmp_path / "run")]
    assert train.main(plan) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]  # written by one of the two
    assert checkpoint.read(tmp_path / "run" / "last.pt")["step"] == 2


def test_another_networks_run_is_not_continued(collection, tmp_path):
    folder = tmp_path / "run"
    checkpoint.save(folder / "last.pt", ParsingRCNN(get_config("tiny")))
    with pytest.raises(checkpoint.CheckpointError, match="last.pt: is no interrupted run"):
        train.run(options(steps=1), collection, folder, torch.device("cpu"))


def test_a_network_can_grow(collection, tmp_path, monkeypatch):
    tiny = get_config("tiny")
    densepose = replace(tiny.densepose, hourglasses=(8,))
    grown = replace(tiny, name="grown", box=replace(tiny.box, residuals=2), densepose=densepose)
    monkeypatch.setitem(CONFIGS, "grown", grown)
    with pytest.raises(checkpoint.CheckpointError, match="missing: roi_heads.box_head.residual1.*--grow"):
        train.Trainer(options(config="grown", steps=1), tmp_path, torch.device("cpu")).begin(start(tmp_path))
    trainer = train.Trainer(options(config="grown", steps=1, grow=True), tmp_path, torch.device("cpu"))
    trainer.begin(start(tmp_path))
    before = checkpoint.load(start(tmp_path)).eval()
    rois = torch.randn(2, 16, 16, 16)
    with torch.no_grad():  # what was learned before is kept
        for a, b in zip(trainer.average.eval().densepose_head(rois), before.densepose_head(rois)):
            assert a.equal(b)
        rois = torch.randn(3, 16, 7, 7)
        for a, b in zip(trainer.average.box_head(rois), before.box_head(rois)):
            torch.testing.assert_close(a, b)


def test_scenes_without_people_train_the_detector(collection):
    canvas = data.Canvas.over(np.zeros((96, 96, 3), np.uint8))
    model = ParsingRCNN(get_config("tiny")).train()
    terms = loss_terms(model, data.collate([canvas.finish()]), Sampling(people=4))
    train.losses.total(terms).backward()
    assert terms["rpn_objectness"] > 0 and terms["fine"] == 0


def test_everybody_gives_one_densepose_region_a_step(tmp_path, monkeypatch):
    """Repeats of a person in a step cost as much as others and teach nothing new."""
    canvas = data.Canvas.over(np.zeros((96, 96, 3), np.uint8))
    person = data.Picture(np.zeros((40, 20, 3), np.uint8), np.full((40, 20, 4), (2, 9, 9, 1), np.uint8), 1, 1.0)
    for x in (0, 50):
        canvas.place(person, np.array([[1.0, 0, 5], [0, 1, 5]]), (x, 0, x + 40, 60))
    seen = []
    monkeypatch.setattr("zoo.steps.targets.densepose_targets", lambda labels, scenes, *rest, real=targets.densepose_targets: seen.append(len(scenes)) or real(labels, scenes, *rest))
    model, batch = ParsingRCNN(get_config("tiny")).train(), data.collate([canvas.finish()])
    for people in (8, 1):
        loss_terms(model, batch, Sampling(people=people))
    assert seen == [2, 1]


def test_folding_frozen_norms_changes_nothing():
    torch.manual_seed(0)
    model = ParsingRCNN(get_config("tiny")).eval()
    bottom_up = model.backbone.bottom_up
    for name, buffer in bottom_up.named_buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    x = torch.randn(1, 3, 64, 64)
    before = model.trunk(x).features[0]
    names = list(model.state_dict())
    fold_batch_norm(bottom_up)
    assert torch.allclose(model.trunk(x).features[0], before, rtol=1e-4, atol=1e-5)
    assert list(model.state_dict()) == names


def test_who_computes_pointwise_convolutions_changes_nothing():
    torch.manual_seed(0)
    model = ParsingRCNN(get_config("tiny")).eval()
    x = torch.randn(1, 3, 64, 64)
    before = model.trunk(x).features[0]
    pointwise_by_onednn(model)
    assert torch.allclose(model.trunk(x).features[0], before, rtol=1e-4, atol=1e-5)


def test_frozen_stages_get_no_gradient():
    bottom_up = ParsingRCNN(get_config("tiny")).backbone.bottom_up
    freeze_stages(bottom_up, 2)
    assert not any(p.requires_grad for p in (*bottom_up.conv_stem.parameters(), *bottom_up.blocks[:2].parameters()))
    assert all(p.requires_grad for p in bottom_up.blocks[2:].parameters())


def test_learning_rate_rises_and_stays_and_falls_for_a_release():
    assert train.rate_factor(0, 0.0, 100) == pytest.approx(0.01)
    assert train.rate_factor(200, 0.0, 100) == train.rate_factor(10**6, 0.0, 100) == 1.0
    assert train.rate_factor(200, 0.5, 100) == pytest.approx(0.505)
    assert train.rate_factor(200, 1.0, 100) == pytest.approx(0.01)


def test_a_release_falls_from_where_the_run_was_however_often_it_is_interrupted(collection, tmp_path):
    cpu, folder = torch.device("cpu"), tmp_path / "run"
    train.run(options(steps=3), collection, folder, cpu, start(tmp_path))
    trainer = train.Trainer(options(fall=4), folder, cpu)
    trainer.resume()
    batch = data.SceneBatches(collection, 2, 0)[3]
    trainer.train_step(batch)
    assert trainer.progress == 0.25
    trainer.save()
    finished = train.run(options(fall=4), collection, folder, cpu)
    assert finished.step == 7
    assert [group["lr"] / group["peak"] for group in finished.groups] == pytest.approx([1 - 0.99 * 0.75] * len(finished.groups))


def test_no_scene_is_drawn_twice_by_a_restart_or_by_two_processes(collection, tmp_path, monkeypatch):
    cpu, drawn = torch.device("cpu"), []
    monkeypatch.setattr(data.SceneBatches, "__getitem__", lambda self, i, real=data.SceneBatches.__getitem__: drawn.append(i) or real(self, i))
    train.run(options(steps=2), collection, tmp_path / "run", cpu, start(tmp_path))
    train.run(options(steps=5), collection, tmp_path / "run", cpu)
    train.run(options(steps=2), collection, tmp_path / "next", cpu, tmp_path / "run" / "last.pt")
    # Each run asks for one batch more than it learns from, which is the next one's first.
    assert drawn == [0, 1, 2, 2, 3, 4, 5, 5, 6, 7]
    pair = train.Trainer(options(), tmp_path / "pair", cpu, train.Team(rank=1, size=2))
    assert pair.drawn + pair.team.rank == 1
    monkeypatch.setattr(train.Team, "average", lambda self, parameters, numbers: numbers)
    monkeypatch.setattr(train.Team, "share", lambda self, model: None)
    pair.begin(None)
    pair.train_step(data.SceneBatches(collection, 2, 0)[1])
    assert pair.drawn == 2


def test_command_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train.main(["--help"])
    assert stop.value.code == 0 and "example:" in capsys.readouterr().out
    assert train.main(["--photos", str(tmp_path / "none"), "--out", str(tmp_path / "run"), "--steps", "1"]) == 1
    assert "index.jsonl" in capsys.readouterr().err


