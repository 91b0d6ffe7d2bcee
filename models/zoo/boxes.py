"""Boxes (x0, y0, x1, y1) in pixels: anchors and the regression code between boxes (R-CNN; detectron2's layout)."""

import math

import torch
from torch import Tensor

from zoo.config import Rpn

SCALE_CLAMP = math.log(1000.0 / 16)  # largest dw, dh: a box grows at most 62.5 times


def anchors(rpn: Rpn, sizes: list[tuple[int, int]], device: torch.device | str = "cpu") -> list[Tensor]:
    """Anchor boxes per level, each (h*w*A, 4) in the order (y, x, anchor).

    `sizes` are the (h, w) of the RPN's outputs. Anchor of size s and ratio r: w = sqrt(s^2 / r), h = r*w.
    """
    return [
        _level_anchors(stride, size, rpn.aspect_ratios, rpn.offset, h, w, device)
        for stride, size, (h, w) in zip(rpn.strides, rpn.sizes, sizes, strict=True)
    ]


def _level_anchors(stride, size, ratios, offset, h, w, device) -> Tensor:
    cells = []
    for ratio in ratios:
        width = math.sqrt(size**2 / ratio)
        height = ratio * width
        cells.append([-width / 2, -height / 2, width / 2, height / 2])
    cells = torch.tensor(cells, device=device)
    xs = (torch.arange(w, device=device, dtype=torch.float32) + offset) * stride
    ys = (torch.arange(h, device=device, dtype=torch.float32) + offset) * stride
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    shifts = torch.stack([x, y, x, y], -1).reshape(-1, 1, 4)
    return (shifts + cells).reshape(-1, 4)


def flatten_rpn(objectness: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    """RPN maps (N,A,h,w), (N,4A,h,w) -> (N, h*w*A), (N, h*w*A, 4) in the order of `anchors`."""
    n, a, h, w = objectness.shape
    scores = objectness.permute(0, 2, 3, 1).reshape(n, -1)
    flat = deltas.view(n, a, 4, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, 4)
    return scores, flat


def encode(reference: Tensor, target: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Deltas (n,4) that `decode` turns from boxes `reference` into boxes `target`; all sides must be positive."""
    rx, ry, rw, rh = _centre_size(reference)
    tx, ty, tw, th = _centre_size(target)
    wx, wy, ww, wh = weights
    parts = wx * (tx - rx) / rw, wy * (ty - ry) / rh, ww * (tw / rw).log(), wh * (th / rh).log()
    return torch.stack(parts, -1)


def decode(reference: Tensor, deltas: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Boxes (n,4) from `reference` boxes and deltas; dw, dh are clamped to log(1000/16)."""
    x, y, w, h = _centre_size(reference)
    wx, wy, ww, wh = weights
    dx, dy, dw, dh = deltas.unbind(-1)
    cx = dx / wx * w + x
    cy = dy / wy * h + y
    w = (dw / ww).clamp(max=SCALE_CLAMP).exp() * w
    h = (dh / wh).clamp(max=SCALE_CLAMP).exp() * h
    return torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)


def _centre_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x0, y0, x1, y1 = boxes.unbind(-1)
    w, h = x1 - x0, y1 - y0
    return x0 + w / 2, y0 + h / 2, w, h


def clip(boxes: Tensor, height: float, width: float) -> Tensor:
    """Boxes cut to 0..width, 0..height."""
    x0, y0, x1, y1 = boxes.unbind(-1)
    return torch.stack([x0.clamp(0, width), y0.clamp(0, height), x1.clamp(0, width), y1.clamp(0, height)], -1)


def widened(boxes: Tensor, margin: float) -> Tensor:
    """Boxes (n,4) with each side moved out by ``margin``, a share of the box's width or height."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return torch.cat([boxes[:, :2] - margin * sides, boxes[:, 2:] + margin * sides], 1)


def area(boxes: Tensor) -> Tensor:
    """Area of each box (n,4)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def nonempty(boxes: Tensor) -> Tensor:
    """Mask of the boxes with positive width and height."""
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
