"""Checkpoints: ours, the published layout, and files that do not fit."""

import json
import pickle
import sys

import pytest
import torch

from zoo import checkpoint, import_checkpoint
from zoo.checkpoint import CheckpointError
from zoo.config import CONFIGS
from zoo.network import ParsingRCNN


@pytest.fixture
def model():
    torch.manual_seed(2)
    return ParsingRCNN(CONFIGS["tiny"])


def _equal(a: ParsingRCNN, b: ParsingRCNN) -> bool:
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_round_trip(model, tmp_path):
    path = tmp_path / "deep" / "last.pth"
    checkpoint.save(path, model, step=17)
    assert checkpoint.read(path)["step"] == 17
    assert _equal(checkpoint.load(path), model)
    assert [p.name for p in path.parent.iterdir()] == ["last.pth"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_published_layouts(model, tmp_path, wrapped):
    """A bare state dict or detectron2's {"model": ...}, with its constants, without counters of the frozen layers."""
    state = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    state["pixel_mean"] = torch.zeros(3, 1, 1)
    path = tmp_path / "model.pth"
    torch.save({"model": state, "iteration": 3} if wrapped else state, path)
    with pytest.raises(CheckpointError, match="--config"):
        checkpoint.load(path)
    assert _equal(checkpoint.load(path, "tiny"), model)


def _without(state, name):
    return {key: value for key, value in state.items() if key != name}


FUSE = "backbone.fuse_p4_tr.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: _without(state, FUSE), rf"1 missing: {FUSE}"),
        (lambda state: {**state, "backbone.extra": torch.zeros(1)}, "1 unexpected: backbone.extra"),
        (lambda state: {**state, FUSE: torch.zeros(3)}, rf"{FUSE} \(\(3,\), expected \(2,\)\)"),
        (lambda state: {**state, FUSE: torch.tensor([1.0, float("nan")])}, f"1 not finite: {FUSE}"),
        (lambda state: {}, "no state dict"),
        (lambda state: {"model": 3}, "no state dict"),
        (lambda state: {"a": 3}, "no state dict"),
    ],
)
def test_state_that_does_not_fit(model, tmp_path, change, message):
    path = tmp_path / "bad.pth"
    torch.save(change(model.state_dict()), path)
    with pytest.raises(CheckpointError, match=message) as error:
        checkpoint.load(path, "tiny")
    assert "bad.pth" in str(error.value)


def test_long_lists_are_cut(model, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"missing: .* and \d+ more"):
        checkpoint.load(path, "tiny")


class _Evil:
    def __reduce__(self):
        return print, ("code from a checkpoint ran",)


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "code", "absent", "folder"])
def test_files_that_cannot_be_read(model, tmp_path, kind, capsys):
    path = tmp_path / "file.pth"
    if kind == "truncated":
        checkpoint.save(path, model)
        path.write_bytes(path.read_bytes()[:-5000])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif kind == "code":
        path.write_bytes(pickle.dumps(_Evil()))
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(CheckpointError, match="file.pth"):
        checkpoint.read(path)
    assert "ran" not in capsys.readouterr().out


def test_import_command(model, tmp_path, monkeypatch):
    source, out = tmp_path / "model.pth", tmp_path / "out"
    torch.save(model.state_dict(), source)
    command = ["import", str(source), "--config", "tiny", "--out", str(out), "--short-side", "128"]
    monkeypatch.setattr(sys, "argv", [*command, "--nms-threshold", "0.4", "--post-nms-topk", "9"])
    import_checkpoint.main()
    manifest = json.loads((out / "model.json").read_text())
    assert manifest["input"]["short_side"] == 128
    assert (manifest["box_head"]["nms_threshold"], manifest["rpn"]["post_nms_topk"]) == (0.4, 9)
    assert manifest["provenance"]["checkpoint"] == "model.pth"


def test_import_command_tells_what_is_wrong(model, tmp_path, monkeypatch):
    source = tmp_path / "model.pth"
    torch.save(model.state_dict(), source)
    monkeypatch.setattr(sys, "argv", ["import", str(source), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="does not fit network 'mobile_parsing_rcnn_b'"):
        import_checkpoint.main()
    assert not (tmp_path / "out").exists()
