"""Anchors, the box code, level assignment and RoIAlign against values worked out by hand."""

import math

import pytest
import torch

from zoo import boxes
from zoo.config import CONFIGS, Rpn
from zoo.pooling import assign_levels, pool_box_features, pool_densepose_features


def test_anchors_order_and_size():
    rpn = Rpn(strides=(4,), sizes=(32,))
    (anchors,) = boxes.anchors(rpn, [(2, 3)])
    assert anchors.shape == (2 * 3 * 3, 4)
    root = math.sqrt(2)
    # First cell: ratios 0.5 (wide), 1, 2 (tall), centred on the corner of the picture.
    expected = torch.tensor(
        [[-16 * root, -8 * root, 16 * root, 8 * root], [-16, -16, 16, 16], [-8 * root, -16 * root, 8 * root, 16 * root]]
    )
    torch.testing.assert_close(anchors[:3], expected)
    torch.testing.assert_close(anchors[4], torch.tensor([-12.0, -16, 20, 16]))  # x moves first
    torch.testing.assert_close(anchors[3 * 3 + 1], torch.tensor([-16.0, -12, 16, 20]))


def test_rpn_maps_are_flattened_in_the_order_of_anchors():
    objectness = torch.arange(2 * 3 * 2 * 4).reshape(2, 3, 2, 4).float()
    deltas = torch.arange(2 * 12 * 2 * 4).reshape(2, 12, 2, 4).float()
    scores, flat = boxes.flatten_rpn(objectness, deltas)
    y, x, anchor = 1, 2, 2
    index = (y * 4 + x) * 3 + anchor
    assert scores[1, index] == objectness[1, anchor, y, x]
    assert flat[1, index].tolist() == deltas[1, anchor * 4 : anchor * 4 + 4, y, x].tolist()


def test_decode_by_hand():
    reference = torch.tensor([[10.0, 20, 30, 60]])  # centre 20, 40; 20 x 40
    decoded = boxes.decode(reference, torch.tensor([[1.0, -2, 5 * math.log(2), 0]]), (10, 10, 5, 5))
    # centre 20 + 0.1*20, 40 - 0.2*40; 40 x 40
    torch.testing.assert_close(decoded, torch.tensor([[2.0, 12, 42, 52]]))


def test_decode_limits_growth():
    decoded = boxes.decode(torch.tensor([[0.0, 0, 16, 16]]), torch.tensor([[0.0, 0, 100, 100]]), (1, 1, 1, 1))
    torch.testing.assert_close(decoded[0, 2] - decoded[0, 0], torch.tensor(1000.0))


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (10, 10, 5, 5)])
def test_decode_inverts_encode(weights):
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(50, 2, 2, generator=generator) * 100
    sides = torch.rand(50, 2, 2, generator=generator) * 50 + 5
    reference, target = (torch.cat([corners[:, i], corners[:, i] + sides[:, i]], 1) for i in (0, 1))
    deltas = boxes.encode(reference, target, weights)
    torch.testing.assert_close(boxes.decode(reference, deltas, weights), target, atol=1e-3, rtol=1e-4)


def test_clip_and_nonempty():
    clipped = boxes.clip(torch.tensor([[-5.0, -5, 5, 5], [90, 0, 120, 10], [110, 0, 120, 10]]), height=50, width=100)
    assert clipped.tolist() == [[0, 0, 5, 5], [90, 0, 100, 10], [100, 0, 100, 10]]
    assert boxes.nonempty(clipped).tolist() == [True, True, False]


def test_levels():
    sides = torch.tensor([0.0, 111, 112, 223, 224, 447, 448, 5000])
    squares = torch.stack([torch.zeros(8), torch.zeros(8), sides, sides], 1)
    assert assign_levels(squares, 224, 4).tolist() == [2, 2, 3, 3, 4, 4, 5, 5]


def _ramps(strides=(4, 8, 16, 32)):
    """Features whose value is the x coordinate, in input pixels, of the feature pixel's centre."""
    config = CONFIGS["tiny"]
    features = []
    for stride in strides:
        width = 512 // stride
        centres = (torch.arange(width) + 0.5) * stride
        features.append(centres.expand(1, config.channels, width, width).contiguous())
    return config, features


def test_aligned_pooling_reads_where_the_box_is():
    """On a ramp of coordinates each bin's mean is the coordinate of its centre, on every level."""
    config, features = _ramps()
    rois = torch.tensor([[100.0, 100, 116, 116], [100, 100, 170, 170], [100, 80, 400, 400]])
    levels = assign_levels(rois, config.box.canonical_size, config.box.canonical_level)
    assert levels.tolist() == [2, 4, 5]
    pooled = pool_box_features(config, features, rois)
    assert pooled.shape == (3, config.channels, 7, 7)
    for roi, values in zip(rois, pooled):
        expected = roi[0] + (torch.arange(7) + 0.5) / 7 * (roi[2] - roi[0])
        torch.testing.assert_close(values[0, 3], expected, atol=1e-3, rtol=0)


def test_densepose_pooling_uses_the_finest_level_and_the_right_image():
    config, features = _ramps()
    batch = [torch.cat([feature, feature + 1000]) for feature in features]
    rois = torch.tensor([[100.0, 100, 400, 400]] * 2)
    pooled = pool_densepose_features(config, batch, rois, torch.tensor([1, 0]))
    side = config.densepose.resolution
    expected = 100 + (torch.arange(side) + 0.5) / side * 300
    torch.testing.assert_close(pooled[1, 0, 0], expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(pooled[0, 0, 0], expected + 1000, atol=1e-3, rtol=0)


def test_pooling_nothing():
    config, features = _ramps()
    assert pool_box_features(config, features, torch.zeros(0, 4)).shape == (0, config.channels, 7, 7)
