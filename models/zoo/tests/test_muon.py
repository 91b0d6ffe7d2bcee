"""Muon: orthogonal updates, and which weights get them."""

import pytest
import torch

from zoo import train
from zoo.muon import Muon, is_matrix, orthogonal


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (32, 32)])
def test_singular_values_become_about_one(shape):
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=torch.Generator().manual_seed(0)), full_matrices=False)
    values = torch.logspace(0, -2, len(v))
    result = orthogonal(u @ torch.diag(values) @ v)
    assert result.shape == shape
    turned = u.T @ result @ v.T  # the singular vectors are kept
    assert (turned - torch.diag(turned.diag())).abs().max() < 1e-3
    assert turned.diag().min() > 0.6 and turned.diag().max() < 1.3


def test_zero_stays_zero():
    assert orthogonal(torch.zeros(16, 30)).abs().max() == 0


def test_steps_have_the_size_of_the_rate_and_of_the_decay():
    weight = torch.nn.Parameter(torch.ones(24, 6, 2, 2))
    muon = Muon([{"params": [weight], "lr": 0.1, "weight_decay": 0.5}])
    before = weight.detach().clone()
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    muon.step()
    moved = weight.detach() - before * (1 - 0.1 * 0.5)
    assert moved.square().mean().sqrt().item() == pytest.approx(0.1 * 0.2, rel=0.2)
    assert (moved * weight.grad).sum() < 0


def test_weights_without_gradient_stay():
    weight = torch.nn.Parameter(torch.ones(16, 16))
    muon = Muon([{"params": [weight], "lr": 0.1, "weight_decay": 0.5}])
    muon.step()
    assert torch.equal(weight.detach(), torch.ones(16, 16))


def test_depthwise_filters_and_small_weights_are_no_matrices():
    assert is_matrix(torch.zeros(16, 16)) and is_matrix(torch.zeros(64, 4, 3, 3))
    assert not is_matrix(torch.zeros(64, 1, 3, 3)) and not is_matrix(torch.zeros(3, 64, 1, 1)) and not is_matrix(torch.zeros(64))


def test_every_weight_has_one_optimiser(tmp_path):
    options = train.Options(config="tiny", freeze=1, lr=2e-3, backbone_lr=1e-3, weight_decay=0.1)
    trainer = train.Trainer(options, tmp_path, torch.device("cpu"))
    trainer.begin(None)
    names = {id(p): name for name, p in trainer.model.named_parameters() if p.requires_grad}
    grouped = [id(p) for group in trainer.groups for p in group["params"]]
    assert sorted(grouped) == sorted(names)
    by_muon = {names[id(p)] for group in trainer.optimizers[1].param_groups for p in group["params"]}
    assert "roi_heads.box_head.conv1.weight" in by_muon and "backbone.l5.weight" in by_muon
    assert not any("bottom_up" in name or "predictor" in name or "anchor_deltas" in name for name in by_muon)
    for group in trainer.groups:
        for p in group["params"]:
            assert group["peak"] == (1e-3 if "bottom_up" in names[id(p)] else 2e-3)
            assert group["weight_decay"] == (0.1 if p.dim() > 1 else 0.0)
