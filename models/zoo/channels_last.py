"""Depthwise convolutions and RoIAlign for training on a CPU, where PyTorch has only slow code for the way back.

A training step spent a third of its time in the gradients of depthwise convolutions (5x5 ones, and 3x3 ones that are
dilated) and of RoIAlign. Both do little arithmetic on much memory; loops over channels-last memory, compiled by numba, do
them several times as fast. Results are those of PyTorch and torchvision, to rounding.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

_compiled = numba.njit(fastmath=True, cache=True, error_model="numpy", boundscheck=False)


@_compiled
def _reach(size: int, out: int, offset: int, stride: int) -> tuple[int, int]:
    """Which places i of ``out`` along an axis have i * stride + offset inside 0..``size``: first, and one past the last."""
    first = 0 if offset >= 0 else (-offset + stride - 1) // stride
    last = (size - 1 - offset) // stride + 1 if size > offset else 0
    return first, min(last, out)


@_compiled
def _forward(x, weight, bias, out, stride, padding, dilation):
    """x (N,H,W,C), weight (k,k,C), bias (C) -> out (N,h,w,C)."""
    channels, kernel = x.shape[3], weight.shape[0]
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                out[n, i, j] = bias
            for a in range(kernel):
                y = i * stride + a * dilation - padding
                if y < 0 or y >= x.shape[1]:
                    continue
                for b in range(kernel):
                    offset = b * dilation - padding
                    first, last = _reach(x.shape[2], out.shape[2], offset, stride)
                    factor = weight[a, b]
                    for j in range(first, last):
                        source, target = x[n, y, j * stride + offset], out[n, i, j]
                        for c in range(channels):
                            target[c] += source[c] * factor[c]


@_compiled
def _backward(x, weight, gradient, grad_x, grad_weight, stride, padding, dilation):
    """Adds to grad_x (N,H,W,C) and grad_weight (k,k,C) what ``gradient`` (N,h,w,C) of the output means for them."""
    channels, kernel = x.shape[3], weight.shape[0]
    for n in range(gradient.shape[0]):
        for i in range(gradient.shape[1]):
            for a in range(kernel):
                y = i * stride + a * dilation - padding
                if y < 0 or y >= x.shape[1]:
                    continue
                for b in range(kernel):
                    offset = b * dilation - padding
                    first, last = _reach(x.shape[2], gradient.shape[2], offset, stride)
                    factor, grad_factor = weight[a, b], grad_weight[a, b]
                    for j in range(first, last):
                        place = j * stride + offset
                        coming, source, target = gradient[n, i, j], x[n, y, place], grad_x[n, y, place]
                        for c in range(channels):
                            target[c] += coming[c] * factor[c]
                            grad_factor[c] += coming[c] * source[c]


def _rows(x: Tensor) -> np.ndarray:
    """(N,C,H,W) as an array (N,H,W,C), C-contiguous; shares memory where it is channels-last already."""
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()


def _planes(pictures: int, channels: int, height: int, width: int) -> Tensor:
    """Zeros (N,C,H,W) in channels-last memory."""
    return torch.empty((pictures, channels, height, width), memory_format=torch.channels_last).zero_()


def _taps(weight: Tensor) -> np.ndarray:
    """(C,1,k,k) as (k,k,C)."""
    return weight.detach()[:, 0].permute(1, 2, 0).contiguous().numpy()


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding, dilation):
        ctx.save_for_backward(x, weight)
        ctx.geometry = stride, padding, dilation
        kernel = weight.shape[-1]
        height, width = ((side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for side in x.shape[2:])
        out = _planes(*x.shape[:2], height, width)
        start = np.zeros(x.shape[1], np.float32) if bias is None else bias.detach().numpy()
        _forward(_rows(x), _taps(weight), start, _rows(out), stride, padding, dilation)
        return out

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        rows, taps, coming = _rows(x), _taps(weight), _rows(gradient)
        grad_x, grad_taps = _planes(*x.shape), np.zeros_like(taps)
        _backward(rows, taps, coming, _rows(grad_x), grad_taps, *ctx.geometry)
        grad_weight = torch.from_numpy(grad_taps).permute(2, 0, 1)[:, None]
        grad_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias, None, None, None


def depthwise_conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, dilation: int) -> Tensor:
    """`torch.nn.functional.conv2d` of float32 x (N,C,H,W) on the CPU with one filter for each channel, weight (C,1,k,k)."""
    return _Depthwise.apply(x, weight, bias, stride, padding, dilation)


@_compiled
def _corners(place: float, size: int) -> tuple[int, int, float]:
    """Where along an axis of ``size`` a sample lies between two places: the lower, the upper and the share of the upper."""
    place = max(place, 0.0)
    low = min(int(place), size - 1)
    if low == size - 1:
        return low, low, 0.0
    return low, low + 1, place - low


@_compiled
def _pool(feature, rois, scale, samples, out, forward):
    """RoIAlign of feature (N,H,W,C) into out (R,r,r,C), or with ``forward`` False the gradient ``out`` back into ``feature``.

    ``rois`` (R,5): picture, x0, y0, x1, y1 in pixels; aligned, with ``samples`` along each side of a bin, 0: as many as it
    has places.
    """
    height, width, channels = feature.shape[1:]
    side = out.shape[1]
    for r in range(len(rois)):
        picture = int(rois[r, 0])
        left, top = rois[r, 1] * scale - 0.5, rois[r, 2] * scale - 0.5
        wide, tall = (rois[r, 3] - rois[r, 1]) * scale, (rois[r, 4] - rois[r, 2]) * scale
        across = samples if samples > 0 else max(int(np.ceil(wide / side)), 1)
        along = samples if samples > 0 else max(int(np.ceil(tall / side)), 1)
        step_x, step_y = wide / (side * across), tall / (side * along)
        share = np.float32(1.0 / (across * along))
        for i in range(side * along):
            y = top + (i + 0.5) * step_y
            if y < -1.0 or y > height:
                continue
            y0, y1, down = _corners(y, height)
            for j in range(side * across):
                x = left + (j + 0.5) * step_x
                if x < -1.0 or x > width:
                    continue
                x0, x1, right = _corners(x, width)
                w00, w01 = np.float32((1 - down) * (1 - right)) * share, np.float32((1 - down) * right) * share
                w10, w11 = np.float32(down * (1 - right)) * share, np.float32(down * right) * share
                cell = out[r, i // along, j // across]
                f00, f01 = feature[picture, y0, x0], feature[picture, y0, x1]
                f10, f11 = feature[picture, y1, x0], feature[picture, y1, x1]
                if forward:
                    for c in range(channels):
                        cell[c] += f00[c] * w00 + f01[c] * w01 + f10[c] * w10 + f11[c] * w11
                    continue
                for c in range(channels):
                    f00[c] += cell[c] * w00
                for c in range(channels):
                    f01[c] += cell[c] * w01
                for c in range(channels):
                    f10[c] += cell[c] * w10
                for c in range(channels):
                    f11[c] += cell[c] * w11


class _RoiAlign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, feature, rois, resolution, scale, samples):
        ctx.shape, ctx.geometry = feature.shape, (rois.numpy(), scale, samples)
        out = _planes(len(rois), feature.shape[1], resolution, resolution)
        _pool(_rows(feature), *ctx.geometry, _rows(out), True)
        return out

    @staticmethod
    def backward(ctx, gradient):
        grad_feature = _planes(*ctx.shape)
        _pool(_rows(grad_feature), *ctx.geometry, _rows(gradient), False)
        return grad_feature, None, None, None, None


def roi_align(feature: Tensor, rois: Tensor, resolution: int, scale: float, samples: int) -> Tensor:
    """`torchvision.ops.roi_align`, aligned, of a float32 feature (N,C,H,W) on the CPU with RoIs (R,5).

    Returns (R,C,resolution,resolution). ``samples`` is torchvision's ``sampling_ratio``.
    """
    return _RoiAlign.apply(feature, rois.detach().float().contiguous(), resolution, scale, samples)
