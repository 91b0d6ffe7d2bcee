"""RoIAlign on one or several pyramid levels (Mask R-CNN; detectron2's aligned, adaptive form)."""

import torch
from torch import Tensor
from torchvision.ops import roi_align

from zoo import channels_last
from zoo.boxes import area
from zoo.settings import BoxHead, Config, DensePoseHead

FEATURE_STRIDES = (4, 8, 16, 32)  # of P2..P5


def assign_levels(boxes: Tensor, canonical_size: float, canonical_level: int) -> Tensor:
    """Pyramid level 2..5 of each box (FPN, eq. 1): a box of side `canonical_size` belongs to `canonical_level`."""
    level = torch.floor(canonical_level + torch.log2(area(boxes).sqrt() / canonical_size + 1e-8))
    return level.clamp(2, 5).long()


def _pool(
    part: BoxHead | DensePoseHead, features: list[Tensor], boxes: Tensor, images: Tensor | None, canonical: BoxHead
) -> Tensor:
    """RoI features of `boxes`, each from the level of `features` (P2 on) that fits its size."""
    images = boxes.new_zeros(len(boxes), dtype=torch.long) if images is None else images
    rois = torch.cat([images[:, None].to(boxes.dtype), boxes], 1)

    def cut(feature: Tensor, rois: Tensor, stride: int) -> Tensor:
        if feature.requires_grad and feature.device.type == "cpu" and part.aligned:  # torchvision takes long for gradients
            return channels_last.roi_align(feature, rois, part.resolution, 1.0 / stride, part.sampling_ratio)
        return roi_align(feature, rois, part.resolution, 1.0 / stride, part.sampling_ratio, part.aligned)

    if len(features) == 1:
        return cut(features[0], rois, FEATURE_STRIDES[0])
    levels = assign_levels(boxes, canonical.canonical_size, canonical.canonical_level)
    pooled = features[0].new_zeros(len(boxes), features[0].shape[1], part.resolution, part.resolution)
    for level, (feature, stride) in enumerate(zip(features, FEATURE_STRIDES), start=2):
        chosen = torch.nonzero(levels == level).flatten()
        pooled = pooled.index_put((chosen,), cut(feature, rois[chosen], stride).to(pooled.dtype))
    return pooled


def pool_box_features(config: Config, features: list[Tensor], boxes: Tensor, images: Tensor | None = None) -> Tensor:
    """Input of the box head (R,C,7,7) for boxes (R,4), each from the level that fits its size.

    `features` begin with P2..P5; `images` (R,) is the index of each box's image in the batch, by default all 0.
    """
    return _pool(config.box, features[:4], boxes, images, config.box)


def pool_densepose_features(
    config: Config, features: list[Tensor], boxes: Tensor, images: Tensor | None = None
) -> Tensor:
    """Input of the DensePose head (R,C,r,r) for boxes (R,4), from where `config` says; `images` as above."""
    sources = {"p2": features[:1], "pyramid": features[:4], "decoder": features[4:]}
    return _pool(config.densepose, sources[config.densepose.source], boxes, images, config.box)
