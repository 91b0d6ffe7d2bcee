"""Checkpoints: ours, the published layout, and files that do not fit."""

import json
import pickle
import sys

import numpy as np
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


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrapped", [False, True])
def test_pickles_of_arrays(model, tmp_path, protocol, wrapped):
    """detectron2's .pkl: NumPy arrays, the author's name beside them or around."""
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    arrays["proposal_generator.anchor_generator.cell_anchors.0"] = np.zeros((3, 4), np.float32)
    notes = {"__author__": "somebody", "matching_heuristics": False}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": arrays, **notes} if wrapped else arrays | notes, protocol))
    assert _equal(checkpoint.load(path, "tiny"), model)


def test_pickles_of_python_2(tmp_path):
    """Byte strings as names and an array written by NumPy of that time."""
    array = pickle.dumps(np.arange(3, dtype=np.float32), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path = tmp_path / "old.pkl"
    path.write_bytes(b"\x80\x02}U\x06weight" + array[2:-1] + b"s.")
    assert checkpoint.read(path)["model"]["weight"].tolist() == [0, 1, 2]


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


@pytest.mark.parametrize("suffix", ["pth", "pkl"])
@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "code", "list", "absent", "folder"])
def test_files_that_cannot_be_read(model, tmp_path, kind, suffix, capsys):
    path = tmp_path / f"file.{suffix}"
    if kind == "truncated" and suffix == "pth":
        checkpoint.save(path, model)
        path.write_bytes(path.read_bytes()[:-5000])
    elif kind == "truncated":
        path.write_bytes(pickle.dumps({"weight": np.zeros(9999)})[:-5000])
    elif kind == "list":
        path.write_bytes(pickle.dumps([np.zeros(3)], 2))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif kind == "code":
        path.write_bytes(pickle.dumps(_Evil()))
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(CheckpointError, match=f"file.{suffix}"):
        checkpoint.read(path)
    assert "ran" not in capsys.readouterr().out


def test_what_a_pickle_must_not_ask_for_is_named(tmp_path):
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"model": {"weight": _Evil()}}))
    with pytest.raises(CheckpointError, match="builtins.print, and only NumPy arrays are read"):
        checkpoint.read(path)


def test_a_checkpoint_of_another_architecture(tmp_path):
    """Both directions of what does not fit, and the shapes, by name."""
    torch.manual_seed(0)
    path = tmp_path / "b.pth"
    torch.save(ParsingRCNN(CONFIGS["mobile_parsing_rcnn_b"]).state_dict(), path)
    with pytest.raises(CheckpointError, match="'mobile_parsing_rcnn_b_wc2m'") as error:
        checkpoint.load(path, "mobile_parsing_rcnn_b_wc2m")
    message = str(error.value)
    assert "10 missing: roi_heads.densepose_predictor.sigma_2_lowres.weight" in message
    assert "ann_index_lowres.weight ((64, 15, 4, 4), expected (64, 2, 4, 4))" in message
    with pytest.raises(CheckpointError, match="16 missing: backbone.fpn_lateral2.weight.* 89 unexpected: backbone.bottom_up.blocks.6.0"):
        checkpoint.load(path, "mobile_parsing_rcnn_a")


def test_embeddings_of_vertices_are_left_out(tmp_path):
    model = ParsingRCNN(CONFIGS["mobile_parsing_rcnn_b_cse"])
    path = tmp_path / "cse.pth"
    torch.save(model.state_dict() | {"roi_heads.embedder.embedder_smpl_27554.features": torch.zeros(5, 3)}, path)
    assert _equal(checkpoint.load(path, "mobile_parsing_rcnn_b_cse"), model)


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


def test_import_command_knows_no_such_network(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["import", "model.pth", "--config", "huge", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="unknown network 'huge'; known: mobile_parsing_rcnn_b, default"):
        import_checkpoint.main()


def test_import_command_tells_what_is_wrong(model, tmp_path, monkeypatch):
    source = tmp_path / "model.pth"
    torch.save(model.state_dict(), source)
    monkeypatch.setattr(sys, "argv", ["import", str(source), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="does not fit network 'mobile_parsing_rcnn_b'"):
        import_checkpoint.main()
    assert not (tmp_path / "out").exists()
