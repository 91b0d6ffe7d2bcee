"""Loss terms on cases whose values are known."""

import math

import torch

from zoo import losses
from zoo.augment import BODY, IGNORE, MIRRORED_PARTS
from zoo.targets import DensePoseTargets


def densepose_case(size=4, parts=25):
    part = torch.zeros(1, size, size, dtype=torch.long)
    part[0, :2] = 5
    part[0, 3] = IGNORE
    truth = DensePoseTargets(part, torch.full((1, size, size), 0.5), torch.full((1, size, size), 0.25))
    maps = [torch.zeros(1, c, size, size, requires_grad=True) for c in (2, parts, parts, parts)]
    return truth, maps


def test_densepose_terms_of_an_undecided_network():
    truth, maps = densepose_case()
    terms = losses.densepose_losses(*maps, truth, torch.ones(1))
    assert math.isclose(terms["coarse"].item(), math.log(2), rel_tol=1e-5)
    assert math.isclose(terms["fine"].item(), math.log(25), rel_tol=1e-5)
    assert math.isclose(terms["u"].item(), 0.5 - losses.UV_BETA / 2, rel_tol=1e-5)
    assert math.isclose(terms["v"].item(), 0.25 - losses.UV_BETA / 2, rel_tol=1e-5)


def test_gradients_reach_known_cells_and_the_true_part_only():
    truth, maps = densepose_case()
    losses.total(losses.densepose_losses(*maps, truth, torch.ones(1))).backward()
    coarse, fine, u, _ = (m.grad for m in maps)
    assert not coarse[:, :, 3].any() and not fine[:, :, 3].any()  # ignored row
    assert coarse[:, :, :3].all() and fine[:, :, :3].all()
    assert u[:, 5, :2].all()
    u[:, 5, :2] = 0
    assert not u.any()


def test_a_body_of_unknown_part_is_any_part_but_background():
    truth, maps = densepose_case()
    truth.part[0, :2] = BODY
    maps[1].data[:, 7] = 50.0  # sure of some part, whichever that is
    terms = losses.densepose_losses(*maps, truth, torch.ones(1))
    assert truth.coarse(2)[0, :2].eq(1).all() and truth.coarse(15)[0, :2].eq(IGNORE).all()
    assert terms["u"] == 0 and terms["v"] == 0
    one = losses._fine_loss(maps[1], truth.part)[0]
    assert one[:2].abs().max() < 1e-5 and not one[3].any()
    maps[1].data[:] = 0.0
    assert torch.allclose(losses._fine_loss(maps[1], truth.part)[0, :2], torch.tensor(math.log(25 / 24)))
    losses.total(losses.densepose_losses(*maps, truth, torch.ones(1))).backward()
    gradient = maps[1].grad[0, :, 0, 0]
    assert gradient[0] > 0 and (gradient[1:] < 0).all()


def test_uv_weight_scales_the_coordinates_only():
    truth, maps = densepose_case()
    full = losses.densepose_losses(*maps, truth, torch.ones(1))
    half = losses.densepose_losses(*maps, truth, torch.full((1,), 0.5))
    assert math.isclose(half["u"].item(), full["u"].item() / 2, rel_tol=1e-6)
    assert half["fine"].item() == full["fine"].item()


def test_nobody_in_the_scene_gives_zero_not_nan():
    truth, maps = densepose_case()
    truth.part[:] = IGNORE
    none = torch.zeros(0, 4, requires_grad=True)
    terms = losses.densepose_losses(*maps, truth, torch.ones(1))
    terms |= losses.rpn_losses(torch.zeros(8, requires_grad=True), torch.zeros(8), none, none)
    terms |= losses.box_losses(torch.zeros(4, 2), torch.ones(4, dtype=torch.long), none, none)
    total = losses.total(terms)
    total.backward()
    assert total.isfinite() and terms["u"] == 0 and terms["rpn_box"] == 0 and terms["box_delta"] == 0


def test_every_term_has_a_weight():
    truth, maps = densepose_case()
    four = torch.zeros(1, 4)
    terms = losses.densepose_losses(*maps, truth, torch.ones(1))
    terms |= losses.rpn_losses(torch.zeros(2), torch.ones(2), four, four + 1)
    terms |= losses.box_losses(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), four, four + 1)
    assert set(terms) == set(losses.WEIGHTS)
    assert terms["rpn_box"] == 4.0


def test_a_hand_outweighs_background():
    truth, maps = densepose_case()
    truth.part[0, 0], truth.part[0, 1], truth.part[0, 2] = 0, 3, IGNORE
    maps[1].data[:, 3] = 5.0  # sure of a hand everywhere: right in one of the two known rows
    terms = losses.densepose_losses(*maps, truth, torch.ones(1))
    wrong = math.log(24 + math.exp(5.0))
    background, hand = losses.PART_WEIGHTS[0], losses.PART_WEIGHTS[3]
    expected = (background * wrong + hand * (wrong - 5.0)) / (background + hand)
    assert math.isclose(terms["fine"].item(), expected, rel_tol=1e-5)


def test_there_is_a_weight_for_every_part_the_same_on_both_sides():
    assert len(losses.PART_WEIGHTS) == 25
    assert all(losses.PART_WEIGHTS[a] == losses.PART_WEIGHTS[b] for a, b in MIRRORED_PARTS)
