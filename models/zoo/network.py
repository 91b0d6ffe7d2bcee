"""The whole network, in the three stages that training, inference and export share.

Names of parameters are those of the published checkpoints (detectron2's layout).
"""

from typing import NamedTuple

from torch import Tensor, nn

from zoo.backbones import build_backbone, imagenet_state
from zoo.bifpn import BiFPN
from zoo.fpn import FPN, Decoder
from zoo.heads import BoxHead, BoxPredictor, DensePoseHead, RpnHead
from zoo.predictors import PREDICTORS, DensePoseOutput
from zoo.settings import Config

NECKS = {"bifpn": BiFPN, "fpn": FPN}


class Trunk(NamedTuple):
    """What is computed once per image."""

    features: list[Tensor]  # P2..P5, each (N, C, H/stride, W/stride), and what the decoder makes of them, if any
    objectness: list[Tensor]  # P2..P6, logits (N, A, h, w)
    deltas: list[Tensor]  # P2..P6, (N, 4A, h, w), channel = anchor*4 + {dx, dy, dw, dh}


class ParsingRCNN(nn.Module):
    """A two-stage network as `config` says: proposals, person boxes, DensePose maps.

    `forward` is `trunk`; the heads work on RoI features that the caller pools (see `zoo.pooling`).
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        channels = config.channels
        self.backbone = NECKS[config.neck](build_backbone(config), channels)
        self.proposal_generator = nn.ModuleDict({"rpn_head": RpnHead(channels, config.rpn)})
        box_head = BoxHead(channels, config.box)
        box_predictor = BoxPredictor(box_head.features, config.box)
        densepose_head = DensePoseHead(channels, config.densepose)
        predictor = PREDICTORS[config.densepose.output](densepose_head.channels, config.densepose)
        self.roi_heads = nn.ModuleDict(
            {
                "box_head": box_head,
                "box_predictor": box_predictor,
                "densepose_head": densepose_head,
                "densepose_predictor": predictor,
            }
        )
        if config.densepose.source == "decoder":
            self.roi_heads["decoder"] = Decoder(channels)

    def trunk(self, images: Tensor) -> Trunk:
        """Normalised images (N,3,H,W), H and W multiples of 32 -> features and RPN outputs."""
        levels = self.backbone(images)
        outputs = [self.proposal_generator["rpn_head"](level) for level in levels]
        features = levels[:4]
        if "decoder" in self.roi_heads:
            features = [*features, self.roi_heads["decoder"](features)]
        return Trunk(features, [logits for logits, _ in outputs], [deltas for _, deltas in outputs])

    forward = trunk

    def box_head(self, rois: Tensor) -> tuple[Tensor, Tensor]:
        """RoI features (R,C,7,7) -> class logits (R,2) [person, background], box deltas (R,4)."""
        return self.roi_heads["box_predictor"](self.roi_heads["box_head"](rois))

    def densepose_head(self, rois: Tensor) -> DensePoseOutput:
        """RoI features (R,C,r,r), r usually 32 -> maps of twice that size; `ValueError` where there are no charts."""
        return self.roi_heads["densepose_predictor"](self.roi_heads["densepose_head"](rois))

    def densepose_outputs(self, rois: Tensor) -> dict[str, Tensor]:
        """As `densepose_head`, with all that the network puts out beside or instead of the charts."""
        return self.roi_heads["densepose_predictor"].outputs(self.roi_heads["densepose_head"](rois))

    def load_imagenet(self) -> None:
        """Initialises the backbone from ImageNet weights; `RuntimeError` says what is missing."""
        if self.config.backbone != "efficientnet_lite0":
            raise RuntimeError(f"no ImageNet weights for backbone {self.config.backbone}, only for efficientnet_lite0")
        bottom_up = self.backbone.bottom_up
        bottom_up.load_state_dict(imagenet_state(bottom_up), strict=True)
