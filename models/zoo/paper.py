"""The networks of Rakhimov et al., *Making DensePose fast and light* (WACV 2021), and detectron2's DensePose R-CNN.

Recipes follow the authors' repository (zetyquickly/DensePoseFnL) and detectron2's DensePose project; `PARAMETERS` holds
what the paper prints, in millions, for `zoo.params`.

Parsing R-CNN is the one whose layout is not certain. The authors' later config file of it builds 52.65M: ASPP,
non-local block and first convolution work on 256 channels there. The head in the repository's first release (ASPP to
512 channels, embedded-Gaussian non-local block with BatchNorm and half the channels, four convolutions of 512) builds
54.556M, and the model zoo page of that release prints 54.56: `parsing_rcnn_r50_repository`. The paper prints 54.36,
either with a wrong digit or for a head without the ASPP's pooled branch, which builds 54.359M: `parsing_rcnn_r50`.
"""

from dataclasses import replace

from zoo.settings import BoxHead, Config, DensePoseHead, Input

_PAPER = "Rakhimov et al., Making DensePose fast and light, WACV 2021"

# Published weights of the ResNets come from Caffe2.
_CAFFE2 = Input(channel_order="BGR", mean=(103.53, 116.28, 123.675), std=(1.0, 1.0, 1.0), short_side=800)
# Confidences of Neverova et al. 2019 and, with M, of Sanakoyeu et al. 2020.
WC1, WC2 = ("sigma_2",), ("sigma_2", "kappa_u", "kappa_v")
WC1M, WC2M = (*WC1, "coarse", "fine"), (*WC2, "coarse", "fine")
_LINEAR_BOX_HEAD = BoxHead(convs=0, fcs=2, sampling_ratio=2, aligned=False)

MOBILE_PARSING_RCNN_B = Config(
    name="mobile_parsing_rcnn_b",
    description=f"Mobile Parsing R-CNN (B) of {_PAPER}",
    backbone="spnasnet_100",
    # Published checkpoints hold the projection; the paper's 3.35M parameters count it.
    keep_last_projection=True,
)


# Backbones that timm calls otherwise today.
_RENAMED = {"mnasnet_b1": "mnasnet_100", "mnasnet_a1": "semnasnet_100"}


def _mobile_a(backbone: str, **options) -> Config:
    """Mobile Parsing R-CNN (A): a backbone of Table 2 with FPN; stages after the last tap are dropped."""
    return Config(
        name="mobile_parsing_rcnn_a" if backbone == "spnasnet_100" else f"mobile_parsing_rcnn_a_{backbone}",
        description=f"Mobile Parsing R-CNN (A) of {_PAPER}, with backbone {backbone}",
        backbone=_RENAMED.get(backbone, backbone),
        **{
            "taps": (1, 2, 3, 5),
            "tap_at": "projection",
            # The authors give TensorFlow's epsilon to what was trained there.
            "backbone_eps": 1e-3 if backbone.startswith("tf_") else 1e-5,
            "neck": "fpn",
            "channels": 256,
            **options,
        },
    )


def _bifpn(channels: int) -> Config:
    """A row of Table 3."""
    return replace(
        MOBILE_PARSING_RCNN_B,
        name=f"mobile_parsing_rcnn_bifpn_{channels}",
        description=f"Mobile Parsing R-CNN with a BiFPN of {channels} channels, {_PAPER}",
        channels=channels,
    )


def _densepose_rcnn(name: str, description: str, densepose: DensePoseHead, depth: int = 50) -> Config:
    """A ResNet with FPN, the linear box head and this DensePose head."""
    return Config(
        name=name,
        description=description,
        backbone=f"resnet{depth}",
        neck="fpn",
        channels=256,
        input=_CAFFE2,
        box=_LINEAR_BOX_HEAD,
        densepose=densepose,
    )


_LEGACY = DensePoseHead(
    source="pyramid",
    resolution=14,
    sampling_ratio=2,
    aligned=False,
    dilations=(),
    body_convs=8,
    body_channels=512,
    upsampling=2,
)
# "Improved baselines" of detectron2.
_IMPROVED = replace(_LEGACY, source="decoder", resolution=28, coarse_channels=2)
_DEEPLAB = replace(_IMPROVED, dilations=(6, 12, 56), aspp_channels=256, groups=32)
_PARSING = DensePoseHead(sampling_ratio=2, aligned=False, aspp_channels=512, body_channels=512, non_local=True)


_SMALL = {"taps": (0, 1, 2, 4)}  # MobileNetV3-small begins with stride 4

# Backbones of Table 2 and the printed millions of parameters of the whole network.
_TABLE_2 = {
    "resnet50": "33.61",
    "tf_efficientnet_el": "17.89",
    "mixnet_xl": "19.10",
    "tf_efficientnet_b3": "16.03",
    "tf_efficientnet_cc_b0_4e": "18.32",
    "mixnet_l": "14.62",
    "tf_efficientnet_em": "14.57",
    "efficientnet_b2": "13.68",
    "tf_efficientnet_es": "13.12",
    "efficientnet_b1": "13.03",
    "mixnet_m": "12.39",
    "efficientnet_b0": "12.10",
    "tf_mobilenetv3_large_100": "12.04",
    "mixnet_s": "11.52",
    "fbnetc_100": "11.49",
    "spnasnet_100": "11.35",
    "mnasnet_b1": "11.31",
    "mnasnet_a1": "10.94",
    "tf_mobilenetv3_large_075": "10.92",
    "tf_mobilenetv3_large_minimal_100": "10.48",
    "tf_mobilenetv3_small_100": "10.07",
    "tf_mobilenetv3_small_075": "9.74",
    "tf_mobilenetv3_small_minimal_100": "9.58",
}

_BASELINES = (
    _densepose_rcnn(
        "densepose_rcnn_r50", "DensePose R-CNN, ResNet-50 with FPN (detectron2's R_50_FPN_s1x_legacy)", _LEGACY
    ),
    _densepose_rcnn(
        "parsing_rcnn_r50",
        f"Parsing R-CNN, ResNet-50 with FPN, as many parameters as printed by {_PAPER}",
        replace(_PARSING, pooled_branch=False),
    ),
    _densepose_rcnn(
        "parsing_rcnn_r50_repository",
        f"Parsing R-CNN, ResNet-50 with FPN, as in the first code release of {_PAPER}",
        _PARSING,
    ),
)
_MOBILE_A = {
    _mobile_a(backbone, **(_SMALL if "_small_" in backbone else {"input": _CAFFE2} if backbone == "resnet50" else {})):
    millions
    for backbone, millions in _TABLE_2.items()
}
_BIFPN = tuple(_bifpn(channels) for channels in (256, 112, 88))
_VARIANTS_OF_B = (
    replace(
        MOBILE_PARSING_RCNN_B.tuned(post_nms_topk=100, nms_threshold=0.3),
        name="mobile_parsing_rcnn_b_tuned",
        description=f"Mobile Parsing R-CNN (B) of {_PAPER}, with its test-tuned settings",
    ),
    replace(
        MOBILE_PARSING_RCNN_B,
        name="mobile_parsing_rcnn_b_wc2m",
        description=f"Mobile Parsing R-CNN (B) of {_PAPER}, with confidences (WC2M)",
        densepose=DensePoseHead(confidences=WC2M, coarse_channels=2),
    ),
    replace(
        MOBILE_PARSING_RCNN_B,
        name="mobile_parsing_rcnn_b_cse",
        description=f"Mobile Parsing R-CNN (B) of {_PAPER}, with surface embeddings (CSE) instead of charts; "
        "without the embedding of the body's 27,554 vertices they are no body parts",
        densepose=DensePoseHead(output="embedding", coarse_channels=2),
    ),
)


def _detectron2(depth: int, suffix: str, densepose: DensePoseHead) -> Config:
    """A row of detectron2's model zoo."""
    title = f"R_{depth}_FPN_{suffix}"
    return _densepose_rcnn(
        f"densepose_rcnn_r{depth}_{suffix.lower()}", f"detectron2's DensePose R-CNN {title}", densepose, depth
    )


# Improved baselines, and those with confidences of U and V (two models of them) and of the segmentations (M).
DETECTRON2 = (
    _detectron2(101, "s1x_legacy", _LEGACY),
    *(
        _detectron2(depth, f"{head}{kind}s1x", replace(densepose, confidences=confidences))
        for head, densepose in (("", _IMPROVED), ("DL_", _DEEPLAB))
        for kind, confidences in (("", ()), ("WC1_", WC1), ("WC2_", WC2), ("WC1M_", WC1M), ("WC2M_", WC2M))
        for depth in (50, 101)
    ),
)

PAPER = (*_BASELINES, *_MOBILE_A, *_BIFPN, MOBILE_PARSING_RCNN_B, *_VARIANTS_OF_B)

PARAMETERS = {
    "densepose_rcnn_r50": "59.73",
    "parsing_rcnn_r50": "54.36",
    **{config.name: millions for config, millions in _MOBILE_A.items()},
    "mobile_parsing_rcnn_bifpn_256": "10.53",
    "mobile_parsing_rcnn_bifpn_112": "4.41",
    "mobile_parsing_rcnn_bifpn_88": "3.82",
    "mobile_parsing_rcnn_b": "3.35",
    "mobile_parsing_rcnn_b_tuned": "3.35",
}
