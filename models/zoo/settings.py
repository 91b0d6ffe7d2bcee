"""What a network is made of and how it is run: the fields of a `Config`; `zoo.config` names the networks.

Lengths are in pixels of the network's input unless said otherwise; all values are plain data, so that a
config can be written to a manifest and compared.
"""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Input:
    """Values 0..255 of `channel_order`; network input = (value - mean) / std, padded right and bottom with 0."""

    channel_order: str = "RGB"  # or "BGR", which mean and std follow
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

    convs: int = 2  # 3x3 convolutions ...
    residuals: int = 0  # ... residual ones ...
    fcs: int = 0  # ... and fully connected layers after them
    fc_channels: int = 1024
    resolution: int = 7
    sampling_ratio: int = 0  # 0: as many samples per bin as it has feature pixels
    aligned: bool = True  # RoIs shifted by half a cell (detectron2's ROIAlignV2)
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

    source: str = "p2"  # what RoIs are cut from: "p2", "pyramid" (the level that fits) or "decoder" (all levels merged)
    separable: bool = False  # separable convolutions with BatchNorm and residuals instead of dense ones
    groups: int = 0  # of GroupNorm after dense convolutions, which then have no bias; 0: no GroupNorm
    resolution: int = 32
    sampling_ratio: int = 0
    aligned: bool = True
    dilations: tuple[int, ...] = (6, 12, 18)  # of the ASPP's 3x3 branches; none: no ASPP
    pooled_branch: bool = True  # whether the ASPP has one for the mean of the RoI
    aspp_channels: int | None = None  # that the ASPP puts out; None: as many as the neck's
    non_local: bool = False  # an embedded-Gaussian non-local block after the ASPP
    hourglasses: tuple[int, ...] = ()  # channels at the waist of each before the body's convolutions
    body_convs: int = 4
    body_channels: int | None = None  # None: as many as the neck's
    upsampling: int = 1  # bilinear, of what the transposed convolutions put out
    output: str = "charts"  # or "embedding", see `zoo.predictors`
    confidences: tuple[str, ...] = ()  # beside charts: of "sigma_2", "kappa_u", "kappa_v", "coarse", "fine"
    coarse_channels: int = 15
    parts: int = 24  # fine, u and v have parts + 1 channels, channel 0 is background
    embedding_channels: int = 16
    margin: float = 0.0  # that a map shows around the detected box, in box sides: detected boxes cut into heads and feet
    sure_from: float = 0.0  # certainty of a person's map below which the score falls in proportion; 0: it never does
    nms_iou: float = 1.0  # of two maps that overlap by more the worse is dropped, where the better one ...
    nms_shared: float = 0.5  # ... shows more than this share of its body's pixels


@dataclass(frozen=True)
class Config:
    """A two-stage network: backbone, neck with P2..P6 of `channels` channels, and three heads.

    `backbone` is a timm name of the EfficientNet or MobileNetV3 family, one of `backbones.ARCHITECTURES`, or
    "resnet50" or "resnet101". Of the former, `taps` are the indices of the stages whose last block's features feed
    the neck (strides 4, 8, 16, 32), taken before ("expansion") or after ("projection") its linear projection.
    """

    name: str
    description: str
    backbone: str
    taps: tuple[int, int, int, int] = (1, 2, 4, 6)
    tap_at: str = "expansion"
    backbone_eps: float = 1e-5  # of its BatchNorm layers
    keep_last_projection: bool = False  # instantiate the last block's unused linear projection
    neck: str = "bifpn"  # or "fpn"
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
