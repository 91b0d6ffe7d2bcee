"""The loops for training on a CPU say what PyTorch and torchvision say, forwards and backwards."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import ops

from zoo import channels_last
from zoo.config import get_config
from zoo.frozen import depthwise_by_loops, fold_batch_norm
from zoo.network import ParsingRCNN


def drawn(*shape, seed=0):
    """Normal values in channels-last memory that want a gradient."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last).requires_grad_()


def assert_alike(ours, theirs, inputs):
    """Results and the gradients of all inputs agree."""
    weights = torch.sin(torch.arange(theirs.numel(), dtype=torch.float32)).view(theirs.shape)
    pairs = zip([ours, *torch.autograd.grad(ours, inputs, weights)], [theirs, *torch.autograd.grad(theirs, inputs, weights)])
    for number, (a, b) in enumerate(pairs):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4 * b.detach().abs().max().item()), number


@pytest.mark.parametrize(
    "size, kernel, stride, padding, dilation",
    [
        ((9, 7), 5, 1, 2, 1),
        ((9, 8), 5, 2, 2, 1),
        ((3, 2), 5, 1, 2, 1),  # smaller than the kernel
        ((12, 10), 3, 1, 6, 6),
        ((12, 10), 3, 1, 18, 18),  # but for the middle, all taps lie outside
        ((11, 12), 3, 2, 1, 1),
        ((11, 12), 3, 3, 0, 2),
    ],
)
@pytest.mark.parametrize("biased", [True, False])
def test_depthwise_convolution(size, kernel, stride, padding, dilation, biased):
    x, weight, bias = drawn(2, 19, *size), drawn(19, 1, kernel, kernel, seed=1), drawn(1, 19, 1, 1, seed=2)
    bias = bias.flatten() if biased else None
    ours = channels_last.depthwise_conv(x, weight, bias, stride, padding, dilation)
    theirs = F.conv2d(x, weight, bias, stride, padding, dilation, groups=19)
    assert_alike(ours, theirs, [x, weight] + [bias] * biased)


def test_memory_may_lie_in_planes():
    x, weight = torch.randn(2, 8, 6, 6, requires_grad=True), torch.randn(8, 1, 5, 5, requires_grad=True)
    ours = channels_last.depthwise_conv(x, weight, None, 1, 2, 1)
    assert_alike(ours, F.conv2d(x, weight, None, 1, 2, 1, 8), [x, weight])


@pytest.mark.parametrize("samples", [0, 1, 2])
def test_roi_align(samples):
    feature = drawn(2, 11, 20, 16)
    rois = torch.tensor(
        [
            [0, 3.2, 4.1, 40.7, 77.0],
            [1, 0.0, 0.0, 64.0, 80.0],
            [1, -9.0, -12.5, 30.0, 20.0],  # partly outside
            [0, 50.0, 60.0, 90.0, 99.0],
            [1, 10.0, 10.0, 10.5, 10.2],  # smaller than a place of the feature
        ]
    )
    ours = channels_last.roi_align(feature, rois, 5, 0.25, samples)
    theirs = ops.roi_align(feature, rois, 5, 0.25, samples or -1, aligned=True)
    assert_alike(ours, theirs, [feature])


def test_no_rois_give_no_features():
    feature = drawn(1, 4, 8, 8)
    out = channels_last.roi_align(feature, torch.zeros(0, 5), 7, 0.25, 2)
    assert out.shape == (0, 4, 7, 7)
    assert torch.autograd.grad(out.sum(), feature)[0].abs().max() == 0


def test_networks_with_loops_compute_the_same():
    torch.manual_seed(0)
    model = ParsingRCNN(get_config("tiny")).eval()
    fold_batch_norm(model.backbone.bottom_up)
    other = copy.deepcopy(model)
    fold_batch_norm(other.backbone.bottom_up)
    depthwise_by_loops(other)
    by_loops = [m for m in other.modules() if isinstance(m, nn.Conv2d) and "_conv_forward" in vars(m)]
    assert {m.kernel_size for m in by_loops} == {(3, 3), (5, 5)} and all(m.groups > 1 for m in by_loops)
    image, rois = torch.randn(1, 3, 64, 96), torch.randn(2, 16, 16, 16)
    for a, b in zip(model.trunk(image).features + list(model.densepose_head(rois)),
                    other.trunk(image).features + list(other.densepose_head(rois))):  # fmt: skip
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
