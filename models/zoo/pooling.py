"""RoIAlign on one or several pyramid levels (Mask R-CNN; detectron2's aligned, adaptive form)."""

import torch
from torch import Tensor
from torchvision.ops import roi_align

from zoo.boxes import area
from zoo.config import Config

FEATURE_STRIDES = (4, 8, 16, 32)  # of P2..P5


def assign_levels(boxes: Tensor, canonical_size: float, canonical_level: int) -> Tensor:
    """Pyramid level 2..5 of each box (FPN, eq. 1): a box of side `canonical_size` belongs to `canonical_level`."""
    level = torch.floor(canonical_level + torch.log2(area(boxes).sqrt() / canonical_size + 1e-8))
    return level.clamp(2, 5).long()


def _pool(feature: Tensor, boxes: Tensor, images: Tensor, stride: int, resolution: int, sampling_ratio: int) -> Tensor:
    rois = torch.cat([images[:, None].to(boxes.dtype), boxes], 1)
    return roi_align(feature, rois, resolution, 1.0 / stride, sampling_ratio, aligned=True)


def pool_box_features(config: Config, features: list[Tensor], boxes: Tensor, images: Tensor | None = None) -> Tensor:
    """Input of the box head (R,C,7,7) for boxes (R,4), each from the level that fits its size.

    `features` are P2..P5; `images` (R,) is the index of each box's image in the batch, by default all 0.
    """
    images = boxes.new_zeros(len(boxes), dtype=torch.long) if images is None else images
    box = config.box
    levels = assign_levels(boxes, box.canonical_size, box.canonical_level)
    pooled = features[0].new_zeros(len(boxes), features[0].shape[1], box.resolution, box.resolution)
    for level, (feature, stride) in enumerate(zip(features, FEATURE_STRIDES), start=2):
        chosen = torch.nonzero(levels == level).flatten()
        rois = _pool(feature, boxes[chosen], images[chosen], stride, box.resolution, box.sampling_ratio)
        pooled = pooled.index_put((chosen,), rois.to(pooled.dtype))
    return pooled


def pool_densepose_features(
    config: Config, features: list[Tensor], boxes: Tensor, images: Tensor | None = None
) -> Tensor:
    """Input of the DensePose head (R,C,32,32) for boxes (R,4), from P2 alone; `images` as above."""
    images = boxes.new_zeros(len(boxes), dtype=torch.long) if images is None else images
    head = config.densepose
    return _pool(features[0], boxes, images, FEATURE_STRIDES[0], head.resolution, head.sampling_ratio)
