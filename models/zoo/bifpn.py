"""BiFPN neck (EfficientDet; the one-pass, 64-channel form of Rakhimov et al.)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def separable_conv(channels: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and pointwise 1x1, both without bias; height and width are kept at stride 1."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride, dilation, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
    )


def separable_block(channels: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Separable convolution, BatchNorm, ReLU."""
    return nn.Sequential(separable_conv(channels, stride, dilation), nn.BatchNorm2d(channels), nn.ReLU())


class Fusion(nn.Module):
    """Fast normalised fusion: sum_i x_i * relu(w_i) / (sum_i relu(w_i) + eps)."""

    def __init__(self, inputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs))
        self.register_buffer("eps", torch.tensor(1e-4))

    def factors(self) -> Tensor:
        """The normalised weights, one per input."""
        weight = self.weight.relu()
        return weight / (weight.sum() + self.eps)

    def forward(self, *inputs: Tensor) -> Tensor:
        return sum(x * factor for x, factor in zip(inputs, self.factors()))


def upsample(x: Tensor) -> Tensor:
    """Nearest-neighbour x2."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class BiFPN(nn.Module):
    """Image -> P2..P6 (strides 4..64), all of `channels` channels; `bottom_up` is the backbone."""

    def __init__(self, bottom_up: nn.Module, channels: int):
        super().__init__()
        self.bottom_up = bottom_up
        for level, inputs in zip((2, 3, 4, 5), bottom_up.channels):
            setattr(self, f"l{level}", nn.Conv2d(inputs, channels, 1))
        self.p4_tr = separable_block(channels)
        self.p3_tr = separable_block(channels)
        self.fuse_p4_tr = Fusion(2)
        self.fuse_p3_tr = Fusion(2)
        self.down_p2 = separable_block(channels, stride=2)
        self.down_p3 = separable_block(channels, stride=2)
        self.down_p4 = separable_block(channels, stride=2)
        self.fuse_p5_out = Fusion(2)
        self.fuse_p4_out = Fusion(3)
        self.fuse_p3_out = Fusion(3)
        self.fuse_p2_out = Fusion(2)
        self.p5_out = separable_block(channels)
        self.p4_out = separable_block(channels)
        self.p3_out = separable_block(channels)
        self.p2_out = separable_block(channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        c2, c3, c4, c5 = self.bottom_up(image)
        c2, c3, c4, c5 = self.l2(c2), self.l3(c3), self.l4(c4), self.l5(c5)
        p4_mid = self.p4_tr(self.fuse_p4_tr(c4, upsample(c5)))
        p3_mid = self.p3_tr(self.fuse_p3_tr(c3, upsample(p4_mid)))
        p2 = self.p2_out(self.fuse_p2_out(c2, upsample(p3_mid)))
        p3 = self.p3_out(self.fuse_p3_out(c3, p3_mid, self.down_p2(p2)))
        p4 = self.p4_out(self.fuse_p4_out(c4, p4_mid, self.down_p3(p3)))
        p5 = self.p5_out(self.fuse_p5_out(c5, self.down_p4(p4)))
        return [p2, p3, p4, p5, p5[..., ::2, ::2]]
