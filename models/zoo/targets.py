"""What the network should have answered: targets for anchors, proposals and DensePose RoIs.

Definitions of Faster R-CNN / detectron2, plus two rules for incomplete labels (channel P of `data`): a box of which a
good part shows people without labels, or about which nothing is known, is no negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

from .augment import IGNORE, SOMEBODY, UNKNOWN

POSITIVE, NEGATIVE, UNUSED = 1, 0, -1

SOMEBODY_SHARE = 0.3  # a box with more of this area on people without labels is no negative
UNKNOWN_SHARE = 0.5  # nor is one with more of this on places where people may have been missed

# The 14 coarse parts of DensePose-COCO by fine part 0..24: torso, right and left hand, left and right foot, right and
# left upper leg, right and left lower leg, left and right upper arm, left and right lower arm, head.
COARSE_OF_FINE = [0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14]


def area_share(mask: Tensor, boxes: Tensor) -> Tensor:
    """Share (N,) in 0..1 of each box's area inside the picture on which ``mask`` (H, W) is true; boxes (N, 4) xyxy pixels."""
    height, width = mask.shape
    integral = torch.zeros(height + 1, width + 1, dtype=torch.float32, device=mask.device)
    integral[1:, 1:] = mask.float().cumsum(0).cumsum(1)
    x0, x1 = (boxes[:, i].round().long().clamp(0, width) for i in (0, 2))
    y0, y1 = (boxes[:, i].round().long().clamp(0, height) for i in (1, 3))
    inside = integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0]
    return inside / ((x1 - x0) * (y1 - y0)).clamp(min=1)


def match(
    candidates: Tensor, boxes: Tensor, label: Tensor, positive: float, negative: float, best_for_each: bool = False
) -> tuple[Tensor, Tensor]:
    """Which candidate boxes (N, 4) show which of the people ``boxes`` (K, 4) of a scene with ``label`` (H, W, 4).

    Returns (states (N,), person (N,)): `POSITIVE` from IoU ``positive`` on, `NEGATIVE` below ``negative``, else `UNUSED`;
    ``best_for_each`` makes the best candidates of everybody positive, however low their IoU (detectron2: allow low
    quality matches, as RPNs need). ``person`` is the row of the best overlap, 0 where there is nobody.
    """
    states = torch.full((len(candidates),), NEGATIVE, dtype=torch.long, device=candidates.device)
    person = torch.zeros_like(states)
    whose = label[..., 3]
    for value, limit in ((SOMEBODY, SOMEBODY_SHARE), (UNKNOWN, UNKNOWN_SHARE)):
        mask = whose == value
        if mask.any():
            states[area_share(mask, candidates) > limit] = UNUSED
    if not len(boxes):
        return states, person
    iou = box_iou(boxes, candidates)
    best, person = iou.max(dim=0)
    states[best >= negative] = UNUSED
    states[best >= positive] = POSITIVE
    if best_for_each:
        top = iou.max(dim=1, keepdim=True).values.clamp(min=1e-3)
        rows, columns = torch.nonzero(iou >= top - 1e-6, as_tuple=True)
        states[columns] = POSITIVE
        person[columns] = rows
    return states, person


def sample(
    states: Tensor, count: int, positive_share: float, person: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """At most ``count`` random indices in all, (positives, negatives), of them at most ``positive_share`` positive.

    With ``person`` (N,), see `match`, everybody is drawn as often: who is half hidden has few candidates.
    """
    positives = torch.nonzero(states == POSITIVE).flatten()
    negatives = torch.nonzero(states == NEGATIVE).flatten()
    if person is not None and len(positives):
        whose = person[positives]
        shares = 1.0 / whose.bincount()[whose]
        positives = positives[shares.multinomial(min(len(positives), int(count * positive_share)))]
    else:
        positives = positives[torch.randperm(len(positives))[: int(count * positive_share)]]
    negatives = negatives[torch.randperm(len(negatives))[: count - len(positives)]]
    return positives, negatives


def jitter(boxes: Tensor, sigma: float, height: int, width: int) -> Tensor:
    """Boxes (N, 4) with each side moved by a normal share ``sigma`` of the box's size, inside the picture, at least 4 px."""
    sides = boxes[:, 2:] - boxes[:, :2]
    moved = boxes + torch.randn_like(boxes) * sigma * sides.repeat(1, 2)
    limit = moved.new_tensor([width, height])
    top_left = torch.minimum(moved[:, :2].clamp(min=0), limit - 4)
    bottom_right = torch.minimum(torch.maximum(moved[:, 2:], top_left + 4), limit)
    return torch.cat([top_left, bottom_right], dim=1)


@dataclass
class DensePoseTargets:
    """Per RoI on a grid of S x S cells: ``part`` (R, S, S) long, 0..24, `BODY` or `IGNORE`; ``u``, ``v`` (R, S, S) in 0..1."""

    part: Tensor
    u: Tensor
    v: Tensor

    def coarse(self, channels: int) -> Tensor:
        """The coarse segmentation (R, S, S): person or not for 2 channels, DensePose-COCO's body parts for 15."""
        if channels == 2:
            return torch.where(self.part == IGNORE, self.part, (self.part > 0).long())
        if channels != 15:
            raise ValueError(f"coarse segmentation has 2 or 15 channels, not {channels}")
        table = self.part.new_full((256,), IGNORE)
        table[:25] = self.part.new_tensor(COARSE_OF_FINE)
        return table[self.part]


def densepose_targets(labels: Tensor, scene: Tensor, rois: Tensor, ids: Tensor, size: int) -> DensePoseTargets:
    """Labels at the cell centres of RoIs, nearest pixel.

    ``labels`` (B, H, W, 4) uint8, ``scene`` (R,) row of ``labels``, ``rois`` (R, 4) xyxy pixels, ``ids`` (R,) values
    of P. Other labelled people are background for a RoI; people without labels are ignored.
    """
    height, width = labels.shape[1:3]
    centres = (torch.arange(size, device=rois.device) + 0.5) / size
    x = (rois[:, 0:1] + centres * (rois[:, 2:3] - rois[:, 0:1])).floor().long().clamp(0, width - 1)
    y = (rois[:, 1:2] + centres * (rois[:, 3:4] - rois[:, 1:2])).floor().long().clamp(0, height - 1)
    cells = labels[scene[:, None, None], y[:, :, None], x[:, None, :]]
    part, whose = cells[..., 0].long(), cells[..., 3].long()
    own = whose == ids[:, None, None]
    somebody = (whose == SOMEBODY) | ((part == IGNORE) & ((whose == 0) | (whose == UNKNOWN)))
    part = torch.where(own, part, torch.where(somebody, IGNORE, 0))
    return DensePoseTargets(part, cells[..., 1].float() / 255.0, cells[..., 2].float() / 255.0)
