"""The three heads: region proposals, person boxes, DensePose maps."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.bifpn import separable_block, separable_conv
from zoo.config import BoxHead as BoxHeadConfig
from zoo.config import DensePoseHead as DensePoseHeadConfig
from zoo.config import Rpn as RpnConfig


class RpnHead(nn.Module):
    """Feature (N,C,h,w) -> objectness logits (N,A,h,w), deltas (N,4A,h,w) with channel anchor*4 + {dx,dy,dw,dh}."""

    def __init__(self, channels: int, config: RpnConfig):
        super().__init__()
        anchors = len(config.aspect_ratios)
        if config.separable:
            self.conv = separable_conv(channels)
            self.conv[1] = nn.Conv2d(channels, channels, 1)  # no BatchNorm follows, so it needs a bias
        else:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness_logits = nn.Conv2d(channels, anchors, 1)
        self.anchor_deltas = nn.Conv2d(channels, anchors * 4, 1)
        # detectron2 draws all three from normal(0.01); a depthwise-pointwise pair would then start near zero.
        dense = [self.objectness_logits, self.anchor_deltas] + ([] if config.separable else [self.conv])
        for layer in dense:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        if config.separable:
            _kaiming(self.conv)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.conv(feature))
        return self.objectness_logits(x), self.anchor_deltas(x)


class BoxHead(nn.Module):
    """RoI features (R,C,r,r) -> (R, C*r*r): two 3x3 convolutions with ReLU, flattened."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        _kaiming(self)

    def forward(self, rois: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(rois)))).flatten(1)


class BoxPredictor(nn.Module):
    """Flat features -> class logits (R, classes; background last), box deltas (R,4)."""

    def __init__(self, features: int, config: BoxHeadConfig):
        super().__init__()
        self.cls_score = nn.Linear(features, len(config.classes))
        self.bbox_pred = nn.Linear(features, 4)
        for layer, std in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.cls_score(features), self.bbox_pred(features)


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling (DeepLab v3, as in Parsing R-CNN): 1x1, dilated 3x3s and a pooled branch."""

    def __init__(self, channels: int, config: DensePoseHeadConfig):
        super().__init__()
        dense = [_conv_relu(channels, channels, 1)]
        if config.separable:
            dilated = [separable_block(channels, dilation=d) for d in config.dilations]
        else:
            dilated = [_conv_relu(channels, channels, 3, d) for d in config.dilations]
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.ReLU())
        self.convs = nn.ModuleList([*dense, *dilated, pooled])
        self.project = _conv_relu(channels * len(self.convs), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        *branches, pooled = [conv(x) for conv in self.convs]
        # The pooled branch is the same everywhere, so its share of the projection is one vector per RoI.
        project = self.project[0]
        local = project.in_channels * len(branches) // len(self.convs)
        x = F.conv2d(torch.cat(branches, 1), project.weight[:, :local], project.bias)
        return F.relu(x + F.conv2d(pooled, project.weight[:, local:]))


class Residual(nn.Module):
    """x + BatchNorm(separable 3x3 (x))."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = separable_conv(channels)
        self.bn = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.bn.weight)  # start as the identity, so that depth does not inflate the outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn(self.conv(x))


class DensePoseHead(nn.Module):
    """RoI features (R,C,r,r) -> features of the same shape: ASPP and `body_convs` 3x3 convolutions."""

    def __init__(self, channels: int, config: DensePoseHeadConfig):
        super().__init__()
        self.ASPP = Aspp(channels, config)
        self.body_convs = [f"body_conv_fcn{i + 1}" for i in range(config.body_convs)]
        for name in self.body_convs:
            conv = Residual(channels) if config.separable else nn.Conv2d(channels, channels, 3, padding=1)
            self.add_module(name, conv)
        _kaiming(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.ASPP(x)
        for name in self.body_convs:
            x = F.relu(self.get_submodule(name)(x))
        return x


class DensePoseOutput(NamedTuple):
    """Per person, at twice the RoI resolution: logits `coarse`, `fine` and coordinates `u`, `v` (one map per part)."""

    coarse: Tensor  # (R, coarse channels, 2r, 2r); channel 0 is background
    fine: Tensor  # (R, parts + 1, 2r, 2r); channel 0 is background
    u: Tensor  # (R, parts + 1, 2r, 2r), about 0..1, not clamped
    v: Tensor


class DensePosePredictor(nn.Module):
    """Features (R,C,r,r) -> `DensePoseOutput`, one 4x4 stride-2 transposed convolution per output."""

    def __init__(self, channels: int, config: DensePoseHeadConfig):
        super().__init__()

        def deconv(outputs: int) -> nn.ConvTranspose2d:
            return nn.ConvTranspose2d(channels, outputs, 4, stride=2, padding=1)

        self.ann_index_lowres = deconv(config.coarse_channels)
        self.index_uv_lowres = deconv(config.parts + 1)
        self.u_lowres = deconv(config.parts + 1)
        self.v_lowres = deconv(config.parts + 1)
        for layer in self.children():
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> DensePoseOutput:
        return DensePoseOutput(
            self.ann_index_lowres(x), self.index_uv_lowres(x), self.u_lowres(x), self.v_lowres(x)
        )


def _conv_relu(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation), nn.ReLU())


def _kaiming(module: nn.Module) -> None:
    """Kaiming-normal weights (ReLU) and zero biases for every convolution inside."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            # fan_in: PyTorch's fan_out ignores groups and would start depthwise layers near zero.
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
