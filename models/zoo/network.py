"""The whole network, in the three stages that training, inference and export share.

Names of parameters are those of the published Mobile Parsing R-CNN checkpoints (detectron2's layout).
"""

from typing import NamedTuple

from torch import Tensor, nn

from zoo.backbones import Backbone, imagenet_state
from zoo.bifpn import BiFPN
from zoo.config import Config
from zoo.heads import BoxHead, BoxPredictor, DensePoseHead, DensePoseOutput, DensePosePredictor, RpnHead


class Trunk(NamedTuple):
    """What is computed once per image."""

    features: list[Tensor]  # P2..P5, each (N, C, H/stride, W/stride)
    objectness: list[Tensor]  # P2..P6, logits (N, A, h, w)
    deltas: list[Tensor]  # P2..P6, (N, 4A, h, w), channel = anchor*4 + {dx, dy, dw, dh}


class ParsingRCNN(nn.Module):
    """Mobile Parsing R-CNN (Rakhimov et al., WACV 2021): proposals, person boxes, DensePose maps.

    `forward` is `trunk`; the heads work on RoI features that the caller pools (see `zoo.pooling`).
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        channels = config.channels
        bottom_up = Backbone(config.backbone, config.taps, config.backbone_eps, config.keep_last_projection)
        self.backbone = BiFPN(bottom_up, channels)
        self.proposal_generator = nn.ModuleDict({"rpn_head": RpnHead(channels, config.rpn)})
        self.roi_heads = nn.ModuleDict(
            {
                "box_head": BoxHead(channels),
                "box_predictor": BoxPredictor(channels * config.box.resolution**2, config.box),
                "densepose_head": DensePoseHead(channels, config.densepose),
                "densepose_predictor": DensePosePredictor(channels, config.densepose),
            }
        )

    def trunk(self, images: Tensor) -> Trunk:
        """Normalised images (N,3,H,W), H and W multiples of 32 -> features and RPN outputs."""
        levels = self.backbone(images)
        outputs = [self.proposal_generator["rpn_head"](level) for level in levels]
        return Trunk(levels[:4], [logits for logits, _ in outputs], [deltas for _, deltas in outputs])

    forward = trunk

    def box_head(self, rois: Tensor) -> tuple[Tensor, Tensor]:
        """RoI features (R,C,7,7) -> class logits (R,2) [person, background], box deltas (R,4)."""
        return self.roi_heads["box_predictor"](self.roi_heads["box_head"](rois))

    def densepose_head(self, rois: Tensor) -> DensePoseOutput:
        """RoI features (R,C,32,32) -> maps at 64x64."""
        return self.roi_heads["densepose_predictor"](self.roi_heads["densepose_head"](rois))

    def load_imagenet(self) -> None:
        """Initialises the backbone from ImageNet weights; `RuntimeError` says what is missing."""
        if self.config.backbone != "efficientnet_lite0":
            raise RuntimeError(f"no ImageNet weights for backbone {self.config.backbone}, only for efficientnet_lite0")
        bottom_up = self.backbone.bottom_up
        bottom_up.load_state_dict(imagenet_state(bottom_up), strict=True)
