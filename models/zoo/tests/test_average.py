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
