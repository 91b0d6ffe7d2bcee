"""Averaging of checkpoints."""

import pytest
import torch

from zoo import average, checkpoint
from zoo.config import get_config
from zoo.network import ParsingRCNN


def written(path, name="default", seed=0):
    torch.manual_seed(seed)
    network = ParsingRCNN(get_config(name))
    checkpoint.save(path, network)
    return network.state_dict()


def test_weights_are_the_mean(tmp_path):
    states = [written(tmp_path / f"{seed}.pt", seed=seed) for seed in range(3)]
    out = tmp_path / "mean.pt"
    assert average.main([*(str(tmp_path / f"{seed}.pt") for seed in range(3)), "--out", str(out)]) == 0
    mean = checkpoint.read(out)["model"]
    differing = 0
    for name, value in mean.items():
        expected = sum(state[name].double() for state in states) / 3
        assert torch.allclose(value.double(), expected, atol=1e-6), name
        differing += not torch.equal(value, states[0][name])
    assert differing > 50


def test_blocks_that_some_lack_are_the_mean_of_those_that_have_them(tmp_path, capsys):
    older, newer = (written(tmp_path / f"{seed}.pt", seed=seed) for seed in range(2))
    lacking = {name: value for name, value in older.items() if ".residual" not in name}
    assert 0 < len(lacking) < len(older)
    torch.save({"config": "default", "model": lacking}, tmp_path / "0.pt")
    arguments = [str(tmp_path / "0.pt"), str(tmp_path / "1.pt"), "--out", str(tmp_path / "mean.pt")]
    assert average.main(arguments) == 1
    assert "0.pt: does not fit network 'default': 10 missing: roi_heads.box_head.residual1" in capsys.readouterr().err
    assert average.main([*arguments, "--grow"]) == 0
    mean = checkpoint.read(tmp_path / "mean.pt")["model"]
    for name, value in mean.items():
        expected = newer[name] if name not in lacking else (older[name].double() + newer[name].double()) / 2
        assert torch.allclose(value.double(), expected.double(), atol=1e-6), name
    torch.save({"config": "default", "model": lacking}, tmp_path / "1.pt")
    assert average.main([*arguments, "--grow"]) == 1
    assert "10 missing: roi_heads.box_head.residual1" in capsys.readouterr().err


def test_what_does_not_go_together_is_named(tmp_path, capsys):
    written(tmp_path / "default.pt")
    written(tmp_path / "other.pt", "mobile_parsing_rcnn_b")
    out = str(tmp_path / "out.pt")
    assert average.main([str(tmp_path / "default.pt"), str(tmp_path / "other.pt"), "--out", out]) == 1
    assert "other.pt: is of the network mobile_parsing_rcnn_b" in capsys.readouterr().err
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "nameless.pt")
    assert average.main([str(tmp_path / "nameless.pt"), str(tmp_path / "default.pt"), "--out", out]) == 1
    assert "nameless.pt: does not say which network" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        average.main([str(tmp_path / "default.pt"), "--out", out])
