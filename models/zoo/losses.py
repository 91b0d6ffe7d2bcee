"""Loss terms of the two stages, and how they are weighed.

Faster R-CNN's four terms (as in detectron2) and DensePose R-CNN / Parsing R-CNN's four, adapted to dense targets: where
DensePose-COCO has about a hundred annotated points per person and sums over them (weight 0.01), here every cell of the
RoI has a target, so the terms are means over cells and do not depend on how many there are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .augment import BODY, IGNORE, PARTS
from .targets import DensePoseTargets

# Chosen so that each term starts with a similar share of the gradient that reaches the shared trunk.
WEIGHTS = {
    "rpn_objectness": 1.0,
    "rpn_box": 0.25,
    "box_class": 1.0,
    "box_delta": 0.25,
    "coarse": 1.0,
    "fine": 2.0,
    "u": 3.0,
    "v": 3.0,
}

# Weights of the parts 0..24 in the fine segmentation: about the inverse fourth root of their share of the cells.
# Unweighted, hands, feet and forearms (under one percent each) are learned long after everything else; with the inverse
# square root, as the first sessions had it, a trained network calls too much by their names.
PART_WEIGHTS = [
    0.3, 0.67, 0.67, 1.26, 1.26, 1.41, 1.41, 1.0, 1.0, 1.0, 1.0, 1.14, 1.14, 1.14, 1.14,
    1.14, 1.14, 1.14, 1.14, 1.34, 1.34, 1.34, 1.34, 0.87, 0.87,
]  # fmt: skip

BODY_WEIGHT = 0.5  # of a body's cell whose part is unknown

UV_BETA = 0.05  # smooth L1 turns from quadratic to linear here; an error of 0.05 is a good result


def total(terms: dict[str, Tensor]) -> Tensor:
    """The weighted sum of the terms."""
    return sum(WEIGHTS[name] * term for name, term in terms.items())


def rpn_losses(objectness: Tensor, positive: Tensor, deltas: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """RPN terms of the sampled anchors.

    ``objectness`` (N,) logits, ``positive`` (N,) 0 or 1; ``deltas``, ``wanted`` (P, 4) of the positive anchors. The box
    term is L1 (detectron2: smooth L1 with beta 0), a mean over positives: small scenes with few people have few.
    """
    return {
        "rpn_objectness": F.binary_cross_entropy_with_logits(objectness, positive.float()),
        "rpn_box": _mean_l1(deltas, wanted),
    }


def box_losses(scores: Tensor, classes: Tensor, deltas: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Box head terms: ``scores`` (N, 2) logits, ``classes`` (N,) 0 person, 1 background; ``deltas``, ``wanted`` (P, 4) of people."""
    return {"box_class": F.cross_entropy(scores, classes), "box_delta": _mean_l1(deltas, wanted)}


def _mean_l1(deltas: Tensor, wanted: Tensor) -> Tensor:
    """L1 over the four numbers, mean over boxes; zero (with a gradient) without boxes."""
    return F.l1_loss(deltas, wanted, reduction="sum") / max(len(wanted), 1)


def densepose_losses(
    coarse: Tensor, fine: Tensor, u: Tensor, v: Tensor, targets: DensePoseTargets, uv_weight: Tensor
) -> dict[str, Tensor]:
    """DensePose terms of R RoIs on an S x S grid.

    ``coarse`` (R, C, S, S) and ``fine`` (R, 25, S, S) are logits, ``u`` and ``v`` (R, 25, S, S) coordinates of which only
    the channel of the true part is judged; ``uv_weight`` (R,) says how far the coordinates are to be trusted.
    """
    part = targets.part
    known = (part != IGNORE).sum().clamp(min=1)
    terms = {
        "coarse": F.cross_entropy(coarse, targets.coarse(coarse.shape[1]), ignore_index=IGNORE, reduction="sum") / known,
        "fine": _weighted_mean(_fine_loss(fine, part), part),
    }
    body = (part > 0) & (part <= PARTS)
    roi, row, column = torch.nonzero(body, as_tuple=True)
    weight = uv_weight[roi] / max(len(roi), 1)
    for name, predicted, wanted in (("u", u, targets.u), ("v", v, targets.v)):
        chosen = predicted[roi, part[body], row, column]
        terms[name] = (F.smooth_l1_loss(chosen, wanted[body], beta=UV_BETA, reduction="none") * weight).sum()
    return terms


def _fine_loss(fine: Tensor, part: Tensor) -> Tensor:
    """Loss per cell (R, S, S): minus the logarithm of the part's probability, where a body's part is unknown of that of all parts."""
    known = torch.where(part == BODY, IGNORE, part)
    loss = F.cross_entropy(fine, known, ignore_index=IGNORE, reduction="none")
    roi, row, column = torch.nonzero(part == BODY, as_tuple=True)
    logits = fine[roi, :, row, column]
    some = logits.logsumexp(1) - logits[:, 1:].logsumexp(1)
    return loss.index_put((roi, row, column), some)


def _weighted_mean(loss: Tensor, part: Tensor) -> Tensor:
    """Mean of a loss per cell, by `PART_WEIGHTS`; ignored cells do not count."""
    table = torch.zeros(256, device=loss.device)
    table[: len(PART_WEIGHTS)] = torch.tensor(PART_WEIGHTS)
    table[BODY] = BODY_WEIGHT
    weight = table[part]
    return (loss * weight).sum() / weight.sum().clamp(min=1)
