"""Weights for other anchors than they were trained with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo import checkpoint, inference
from zoo.config import CONFIGS, get_config
from zoo.network import ParsingRCNN


def halved(config):
    return replace(config, rpn=replace(config.rpn, sizes=tuple(size / 2 for size in config.rpn.sizes)))


def test_weights_propose_the_same_boxes_from_other_anchors(tmp_path, monkeypatch):
    torch.manual_seed(0)
    old = ParsingRCNN(get_config("tiny")).eval()
    for parameter in old.proposal_generator["rpn_head"].parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    checkpoint.save(tmp_path / "old.pt", old)
    monkeypatch.setitem(CONFIGS, "tiny", halved(old.config))
    new = checkpoint.load(tmp_path / "old.pt")
    assert new.config.rpn.sizes == tuple(size / 2 for size in old.config.rpn.sizes)
    image = inference.normalise(np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8), old.config.input)
    with torch.no_grad():
        (boxes, scores), (same, equal) = (inference.propose(m.config.rpn, m.trunk(image), (96, 128)) for m in (old, new))
    assert len(boxes) > 5
    torch.testing.assert_close(same, boxes, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(equal, scores)
    checkpoint.save(tmp_path / "new.pt", new)
    assert torch.equal(
        checkpoint.load(tmp_path / "new.pt").proposal_generator["rpn_head"].anchor_deltas.weight,
        new.proposal_generator["rpn_head"].anchor_deltas.weight,
    )


def test_anchors_of_other_proportions_are_refused(tmp_path, monkeypatch):
    model = ParsingRCNN(get_config("tiny"))
    checkpoint.save(tmp_path / "old.pt", model)
    other = replace(model.config, rpn=replace(model.config.rpn, sizes=(16, 32, 64, 128, 512)))
    monkeypatch.setitem(CONFIGS, "tiny", other)
    with pytest.raises(checkpoint.CheckpointError, match="16, 32, 64, 128, 256.*cannot become"):
        checkpoint.load(tmp_path / "old.pt")
