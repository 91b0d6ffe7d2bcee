"""The networks: one `Config` per network, collected in `CONFIGS`.

Ours are defined here, those of the paper and of detectron2 in `zoo.paper`; `zoo.settings` says what the fields mean.
"""

from zoo.paper import DETECTRON2, MOBILE_PARSING_RCNN_B, PAPER
from zoo.settings import BoxHead, Config, DensePoseHead, Input, Rpn

__all__ = ["CONFIGS", "BoxHead", "Config", "DensePoseHead", "Input", "Rpn", "get_config"]

CONFIGS = {
    config.name: config
    for config in (
        MOBILE_PARSING_RCNN_B,
        Config(
            name="default",
            description="Mobile Parsing R-CNN with an EfficientNet-Lite0 backbone and separable heads",
            backbone="efficientnet_lite0",
            backbone_eps=1e-3,
            # The ImageNet weights come from TensorFlow's EfficientNet-Lite and were trained with these.
            input=Input(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0), short_side=256),
            rpn=Rpn(separable=True, sizes=(16, 32, 64, 128, 256), post_nms_topk=30),
            # With two convolutions no cell of a box sees the whole of it, as telling people who overlap apart asks for.
            box=BoxHead(residuals=2, nms_threshold=0.65),
            # Half of what is no person has less certain maps, but one in a hundred people. Without a margin, two in
            # five heads and feet are cut off flat at the border of the map. Boxes that overlap more than 0.4 are those of
            # people one behind the other, or of half a body beside that of the whole: maps tell which.
            densepose=DensePoseHead(
                separable=True, coarse_channels=2, hourglasses=(96, 72, 96), margin=0.03, sure_from=0.35, nms_iou=0.4
            ),
        ),
        Config(
            name="tiny",
            description="Small enough for a test fixture; detects nothing sensible",
            backbone="tiny",
            taps=(1, 2, 3, 4),
            channels=16,
            input=Input(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0), short_side=96, max_long_side=256),
            rpn=Rpn(separable=True, sizes=(16, 32, 64, 128, 256), pre_nms_topk=100, post_nms_topk=12),
            box=BoxHead(nms_threshold=0.3, canonical_size=64, max_detections=8),
            densepose=DensePoseHead(separable=True, resolution=16, dilations=(2, 4, 6), coarse_channels=2),
        ),
        *(config for config in PAPER if config is not MOBILE_PARSING_RCNN_B),
        *DETECTRON2,
    )
}


def get_config(name: str) -> Config:
    """The config of that name; `ValueError` names the known ones."""
    try:
        return CONFIGS[name]
    except KeyError:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(CONFIGS)}") from None
