"""Training speed: what frozen layers need not cost, and who computes the others.

The backbone's BatchNorm is frozen (constants), so it can be folded into the convolution before it on every pass, and
early stages that are not trained need no gradient. All of this leaves parameters, names and results as they are.
"""

from __future__ import annotations

import types

import torch
from timm.layers import FrozenBatchNormAct2d
from torch import Tensor, nn

from .backbones import Backbone
from .channels_last import depthwise_conv


def freeze_stages(backbone: Backbone, stages: int) -> None:
    """Takes the stem and the first ``stages`` stages out of training (detectron2: FREEZE_AT); 0 trains everything."""
    if not stages:
        return
    for module in (backbone.conv_stem, backbone.bn1, *backbone.blocks[:stages]):
        module.requires_grad_(False)


def fold_batch_norm(backbone: Backbone) -> None:
    """Lets every convolution that is followed by frozen BatchNorm compute both at once; only the activation stays behind."""
    for parent in list(backbone.modules()):
        previous = None
        for module in parent.children():
            if isinstance(module, FrozenBatchNormAct2d) and previous is not None:
                previous.forward = types.MethodType(_Folded(module), previous)
                module.forward = types.MethodType(_activation_only, module)
                previous = None
            elif isinstance(module, nn.Conv2d):
                previous = module


def pointwise_by_onednn(model: nn.Module) -> None:
    """Lets oneDNN compute 1x1 convolutions on a single thread, too, where PyTorch takes slower code of its own.

    PyTorch leaves dilated convolutions to oneDNN, and a kernel of one weight is the same however it is dilated. Whole
    training steps took a sixth less time (Zen 4, PyTorch 2.15).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            module.dilation = (2, 2)


def depthwise_by_loops(model: nn.Module) -> None:
    """Lets `zoo.channels_last` compute those depthwise convolutions whose gradients take PyTorch long on a CPU."""
    for module in model.modules():
        if not isinstance(module, nn.Conv2d) or not module.in_channels == module.out_channels == module.groups > 1:
            continue
        kernel, dilation = module.kernel_size[0], module.dilation[0]
        square = len({*module.kernel_size}) == len({*module.stride}) == len({*module.padding}) == len({*module.dilation}) == 1
        if square and (kernel == 5 or kernel == 3 and dilation > 1):
            module._conv_forward = types.MethodType(_by_loops, module)


def _by_loops(conv: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return depthwise_conv(x, weight, bias, conv.stride[0], conv.padding[0], conv.dilation[0])


class _Folded:
    """The forward of a convolution with the scale and shift of ``norm`` in its weights."""

    def __init__(self, norm: FrozenBatchNormAct2d):
        self.norm = norm

    def __call__(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        norm = self.norm
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        weight = conv.weight * scale[:, None, None, None]
        return conv._conv_forward(x, weight, shift)


def _activation_only(norm: FrozenBatchNormAct2d, x: Tensor) -> Tensor:
    return norm.act(norm.drop(x))
