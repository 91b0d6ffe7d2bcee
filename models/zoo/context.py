"""What lets a DensePose head look around: atrous spatial pyramid pooling and non-local block (Parsing R-CNN), hourglass."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.bifpn import separable_block, separable_conv, upsample
from zoo.settings import DensePoseHead


def conv_relu(inputs: int, outputs: int, kernel: int, dilation: int = 1, groups: int = 0) -> nn.Sequential:
    """Convolution of the same size and ReLU; with GroupNorm between them the convolution has no bias."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=not groups)
    norm = [nn.GroupNorm(groups, outputs)] if groups else []
    return nn.Sequential(conv, *norm, nn.ReLU())


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling (DeepLab v3, as in Parsing R-CNN): 1x1, dilated 3x3s and a pooled branch."""

    def __init__(self, channels: int, outputs: int, config: DensePoseHead):
        super().__init__()
        groups = config.groups
        convs = [conv_relu(channels, channels, 1, groups=groups)]
        if config.separable:
            convs += [separable_block(channels, dilation=d) for d in config.dilations]
        else:
            convs += [conv_relu(channels, channels, 3, d, groups) for d in config.dilations]
        if config.pooled_branch:
            convs.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_relu(channels, channels, 1, groups=groups)))
        self.pooled_branch = config.pooled_branch
        self.convs = nn.ModuleList(convs)
        self.project = nn.Sequential(nn.Conv2d(channels * len(convs), outputs, 1, bias=not groups), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        branches = [conv(x) for conv in self.convs]
        if not self.pooled_branch:
            return self.project(torch.cat(branches, 1))
        # The pooled branch is the same everywhere, so its share of the projection is one vector per RoI.
        *branches, pooled = branches
        project = self.project[0]
        local = project.in_channels * len(branches) // len(self.convs)
        geometry = project.stride, project.padding, project.dilation  # training chooses the code by them (`zoo.frozen`)
        x = F.conv2d(torch.cat(branches, 1), project.weight[:, :local], project.bias, *geometry)
        return F.relu(x + F.conv2d(pooled, project.weight[:, local:]))


class NonLocal(nn.Module):
    """Embedded-Gaussian non-local block (Wang et al. 2018) on RoI features (R,C,r,r), with C/2 channels inside.

    Keys and values are max-pooled by 2, a BatchNorm ends the residual branch.
    """

    def __init__(self, channels: int, resolution: int):
        super().__init__()
        inside = channels // 2
        self.resolution = resolution
        self.g = nn.Sequential(nn.Conv2d(channels, inside, 1), nn.MaxPool2d(2))
        self.W = nn.Sequential(nn.Conv2d(inside, channels, 1), nn.BatchNorm2d(channels))
        self.theta = nn.Conv2d(channels, inside, 1)
        self.phi = nn.Sequential(nn.Conv2d(channels, inside, 1), nn.MaxPool2d(2))
        nn.init.zeros_(self.W[1].weight)  # start as the identity

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        weights = F.softmax(torch.matmul(query.transpose(1, 2), key), dim=-1)
        y = torch.matmul(value, weights.transpose(1, 2))
        return x + self.W(y.unflatten(2, (self.resolution, self.resolution)))


class Hourglass(nn.Module):
    """Down to a quarter of the side and up again (Newell et al. 2016) on RoI features (R,C,r,r), r a multiple of 4.

    At the waist a cell sees the whole person, so that head and feet can agree on the side from which they are seen. Three
    dense 3x3 convolutions with `inside` channels do that at little cost. A BatchNorm ends the residual branch.
    """

    def __init__(self, channels: int, inside: int, resolution: int):
        super().__init__()
        if resolution % 4:
            raise ValueError(f"an hourglass halves the RoI's side twice, {resolution} is no multiple of 4")
        self.halved = separable_block(channels, stride=2)
        self.quartered = separable_block(channels, stride=2)
        self.waist = nn.Sequential(
            *_dilated(channels, inside, 1), nn.ReLU(),
            *_dilated(inside, inside, 2), nn.ReLU(),
            *_dilated(inside, channels, 4),
        )  # fmt: skip
        self.out = nn.Sequential(separable_conv(channels), nn.BatchNorm2d(channels))
        nn.init.zeros_(self.out[1].weight)  # start as the identity

    def forward(self, x: Tensor) -> Tensor:
        half = self.halved(x)
        half = F.relu(half + upsample(self.waist(self.quartered(half))))
        return x + upsample(self.out(half))


def _dilated(inputs: int, outputs: int, dilation: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]
