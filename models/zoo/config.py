"""What a network is made of and how it is run: one `Config` per network, collected in `CONFIGS`.

Lengths are in pixels of the network's input unless said otherwise; all values are plain data, so that a
config can be written to a manifest and compared.
"""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Input:
    """RGB, 0..255; network input = (value - mean) / std, padded right and bottom with 0."""

    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    short_side: int = 512
    max_long_side: int = 1333
    size_divisor: int = 32


@dataclass(frozen=True)
class Rpn:
    """Region proposals on P2..P6 (Faster R-CNN / detectron2 definitions)."""

    separable: bool = False
    strides: tuple[int, ...] = (4, 8, 16, 32, 64)
    sizes: tuple[float, ...] = (32, 64, 128, 256, 512)  # side of the square anchor, one per stride
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    offset: float = 0.0  # of the anchor grid, in strides
    box_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    pre_nms_topk: int = 1000  # per level
    nms_threshold: float = 0.7
    post_nms_topk: int = 1000  # over all levels


@dataclass(frozen=True)
class BoxHead:
    """Second stage: person or background, and a refined box."""

    resolution: int = 7
    sampling_ratio: int = 0  # 0: as many samples per bin as it has feature pixels
    canonical_size: float = 224
    canonical_level: int = 4
    classes: tuple[str, ...] = ("person", "background")
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    score_threshold: float = 0.05
    nms_threshold: float = 0.5
    max_detections: int = 100


@dataclass(frozen=True)
class DensePoseHead:
    """Body parts and surface coordinates of one person."""

    separable: bool = False  # separable convolutions with BatchNorm and residuals instead of dense ones
    resolution: int = 32
    sampling_ratio: int = 0
    dilations: tuple[int, ...] = (6, 12, 18)  # of the ASPP's 3x3 branches
    body_convs: int = 4
    coarse_channels: int = 15
    parts: int = 24  # fine, u and v have parts + 1 channels, channel 0 is background


@dataclass(frozen=True)
class Config:
    """A Mobile Parsing R-CNN: backbone, BiFPN and three heads that share one channel count.

    `backbone` is a timm EfficientNet-family name or one of `backbones.ARCHITECTURES`; `taps` are the indices
    of the backbone stages whose last block's expanded features (strides 4, 8, 16, 32) feed the neck.
    """

    name: str
    description: str
    backbone: str
    taps: tuple[int, int, int, int] = (1, 2, 4, 6)
    backbone_eps: float = 1e-5  # of its BatchNorm layers
    keep_last_projection: bool = False  # instantiate the last block's unused linear projection
    channels: int = 64
    input: Input = field(default_factory=Input)
    rpn: Rpn = field(default_factory=Rpn)
    box: BoxHead = field(default_factory=BoxHead)
    densepose: DensePoseHead = field(default_factory=DensePoseHead)

    def tuned(
        self,
        short_side: int | None = None,
        post_nms_topk: int | None = None,
        nms_threshold: float | None = None,
        score_threshold: float | None = None,
    ) -> "Config":
        """The same network run with other settings; `nms_threshold` is the box head's."""

        def change(part, **values):
            return replace(part, **{name: value for name, value in values.items() if value is not None})

        return replace(
            self,
            input=change(self.input, short_side=short_side),
            rpn=change(self.rpn, post_nms_topk=post_nms_topk),
            box=change(self.box, nms_threshold=nms_threshold, score_threshold=score_threshold),
        )


CONFIGS = {
    config.name: config
    for config in (
        Config(
            name="mobile_parsing_rcnn_b",
            description="Mobile Parsing R-CNN (B) of Rakhimov et al., Making DensePose fast and light, WACV 2021",
            backbone="spnasnet_100",
            # Published checkpoints hold the projection; the paper's 3.35M parameters count it.
            keep_last_projection=True,
        ),
        Config(
            name="default",
            description="Mobile Parsing R-CNN with an EfficientNet-Lite0 backbone and separable heads",
            backbone="efficientnet_lite0",
            backbone_eps=1e-3,
            # The ImageNet weights come from TensorFlow's EfficientNet-Lite and were trained with these.
            input=Input(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0), short_side=256),
            rpn=Rpn(separable=True, post_nms_topk=30),
            # At 0.5, boxes of half a body stay beside that of the whole.
            box=BoxHead(nms_threshold=0.3),
            densepose=DensePoseHead(separable=True, coarse_channels=2),
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
    )
}


def get_config(name: str) -> Config:
    """The config of that name; `ValueError` names the known ones."""
    try:
        return CONFIGS[name]
    except KeyError:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(CONFIGS)}") from None
