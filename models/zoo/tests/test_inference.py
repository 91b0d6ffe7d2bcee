"""PyTorch inference: sizes, suppression, charts, and pictures that are awkward."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo import inference
from zoo.config import CONFIGS, BoxHead, Input, Rpn
from zoo.predictors import DensePoseOutput
from zoo.network import ParsingRCNN, Trunk


@pytest.mark.parametrize(
    ("picture", "short", "expected"),
    [
        ((720, 1280), 512, (512, 910)),
        ((720, 1280), 400, (400, 711)),
        ((1280, 720), 256, (455, 256)),
        ((100, 1000), 512, (133, 1333)),  # the long side limits
        ((1, 1), 256, (256, 256)),
        ((1, 5000), 256, (1, 1333)),
    ],
)
def test_input_size(picture, short, expected):
    assert inference.input_size(*picture, Input(short_side=short)) == expected


def test_normalise_pads_after_normalising():
    config = Input()
    image = inference.normalise(np.full((40, 70, 3), 128, np.uint8), config)
    assert image.shape == (1, 3, 64, 96)
    assert image[0, 0, 0, 0].item() == pytest.approx((128 - 123.675) / 58.395)
    assert image[:, :, 40:].abs().max() == 0 and image[:, :, :, 70:].abs().max() == 0


def _trunk(logits: torch.Tensor, deltas: torch.Tensor | None = None) -> Trunk:
    deltas = torch.zeros(1, 4, *logits.shape[-2:]) if deltas is None else deltas
    return Trunk([], [logits], [deltas])


def test_proposals_are_clipped_suppressed_and_ranked():
    rpn = Rpn(strides=(16,), sizes=(32,), aspect_ratios=(1.0,), nms_threshold=0.3, post_nms_topk=2)
    logits = torch.full((1, 1, 3, 4), -10.0)
    logits[0, 0, 1, 1], logits[0, 0, 1, 2], logits[0, 0, 2, 3] = 3.0, 2.0, 1.0
    boxes, scores = inference.propose(rpn, _trunk(logits), (40, 56))
    # (1,2) overlaps (1,1) by 1/3 and is dropped; (2,3) is cut at the picture's edge.
    assert boxes.tolist() == [[0, 0, 32, 32], [32, 16, 56, 40]]
    assert scores.tolist() == [3, 1]


def test_proposals_without_numbers_are_dropped():
    rpn = Rpn(strides=(16,), sizes=(32,), aspect_ratios=(1.0,))
    logits = torch.full((1, 1, 2, 2), float("nan"))
    boxes, scores = inference.propose(rpn, _trunk(logits), (32, 32))
    assert boxes.shape == (0, 4) and scores.shape == (0,)


def test_select_is_strict_about_the_threshold_and_ignores_background():
    box = BoxHead(score_threshold=0.5)
    proposals = torch.tensor([[0.0, 0, 10, 20], [20, 0, 30, 20], [40, 0, 50, 20], [0, 0, 10, 19]])
    scores = torch.tensor([[2.0, 0], [0, 2], [1, 1], [1, 0]])  # person, background, exactly 0.5, duplicate
    detections = inference.select(box, proposals, scores, torch.zeros(4, 4), (100, 100))
    assert detections.boxes.tolist() == [[0, 0, 10, 20]]
    assert detections.scores.item() == pytest.approx(1 / (1 + np.exp(-2)))


def test_charts_to_iuv():
    """Left half background, right half part 3 with U from channel 3, and V outside its range."""
    coarse, fine = torch.zeros(1, 2, 8, 8), torch.zeros(1, 25, 8, 8)
    u, v = torch.zeros(1, 25, 8, 8), torch.zeros(1, 25, 8, 8)
    coarse[:, 0, :, :4], coarse[:, 1, :, 4:] = 5, 5
    fine[:, 3] = 1
    u[:, 3], u[:, 4], v[:, 3] = 0.5, 0.9, 1.7
    iuv = inference.charts_to_iuv(DensePoseOutput(coarse, fine, u, v), 0, width=16, height=4)
    assert iuv.shape == (4, 16, 3) and iuv.dtype == np.uint8
    assert (iuv[:, :7] == 0).all()
    assert (iuv[:, 9:] == (3, 128, 255)).all()


def test_charts_without_numbers_are_background_or_zero():
    nan = torch.full((1, 25, 4, 4), float("nan"))
    iuv = inference.charts_to_iuv(DensePoseOutput(nan[:, :2], nan, nan, nan), 0, 5, 5)
    assert iuv.shape == (5, 5, 3)


def test_certainty_is_the_mean_probability_of_the_parts_shown():
    """Of 4 x 6 cells every second counts: (0, 0) is sure by a half, (2, 2) by a quarter; the rest shows nothing or is not asked."""
    fine, coarse = torch.zeros(2, 25, 4, 6), torch.zeros(2, 2, 4, 6)
    coarse[:, 1] = 1
    for y, x, logit in ((0, 0, np.log(24)), (2, 2, np.log(8)), (2, 4, 9), (1, 1, 9)):
        fine[0, 7, y, x] = logit
    coarse[0, 0, 2, 4] = 2
    flat = torch.zeros_like(fine)
    assert inference.certainty(DensePoseOutput(coarse, fine, flat, flat)).tolist() == pytest.approx([0.375, 0.0])


def test_uncertain_maps_lower_the_score(eager):
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    before = inference.estimate(eager, picture)
    config = eager.config
    try:
        eager.config = replace(config, densepose=replace(config.densepose, sure_from=1.0))
        doubted = inference.estimate(eager, picture)
        given = inference.estimate(eager, picture, np.array([[10.0, 10.0, 60.0, 90.0]]))
    finally:
        eager.config = config
    assert before and len(doubted) <= len(before)
    assert max(p.score for p in doubted) < max(p.score for p in before)
    assert [p.score for p in doubted] == sorted((p.score for p in doubted), reverse=True)
    assert [p.score for p in given] == [1.0]


def mapped(x: int, width: int, height: int, body: slice) -> inference.Person:
    """Somebody in a box at (x, 0) who fills some of its columns."""
    iuv = np.zeros((height, width, 3), np.uint8)
    iuv[:, body] = (7, 1, 2)
    return inference.Person((x, 0, x + width, height), 0.9, x, 0, width, height, iuv)


@pytest.mark.parametrize(
    ("person", "again"),
    [
        (mapped(2, 10, 20, slice(0, 10)), True),  # six of ten columns are the other's
        (mapped(2, 10, 20, slice(3, 10)), False),  # three of seven: behind it
        (mapped(0, 10, 10, slice(0, 8)), True),  # the upper half of it
        (mapped(5, 10, 20, slice(0, 3)), False),  # all of three, but the boxes are far apart
        (mapped(10, 10, 20, slice(0, 10)), False),
        (mapped(0, 10, 20, slice(0, 0)), False),  # nothing is no repeat
    ],
)
def test_who_shows_the_same_pixels_is_the_same(person, again):
    config = replace(CONFIGS["tiny"].densepose, nms_iou=0.4)
    assert inference.repeated(person, mapped(0, 10, 20, slice(0, 8)), config) == again
    assert not inference.repeated(person, mapped(0, 10, 20, slice(0, 8)), replace(config, nms_iou=1.0))


def test_who_is_found_twice_is_left_out(eager):
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    config = eager.config
    box = np.array([[10.0, 10.0, 60.0, 90.0]])
    try:
        eager.config = replace(config, box=replace(config.box, nms_threshold=0.95, max_detections=100))
        everybody = inference.estimate(eager, picture)
        eager.config = replace(eager.config, densepose=replace(config.densepose, nms_iou=0.0, nms_shared=0.3))
        once = inference.estimate(eager, picture)
        given = inference.estimate(eager, picture, np.repeat(box, 2, axis=0))
    finally:
        eager.config = config
    assert 0 < len(once) < len(everybody) and len(given) == 2
    assert once[0].box == everybody[0].box
    for place, person in enumerate(once):
        others = replace(config.densepose, nms_iou=0.0, nms_shared=0.3)
        assert not any(inference.repeated(person, better, others) for better in once[:place])


def test_maps_reach_beyond_the_detected_box(eager):
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    tight = inference.estimate(eager, picture)
    config = eager.config
    try:
        eager.config = replace(config, densepose=replace(config.densepose, margin=0.1))
        wide = inference.estimate(eager, picture)
        given = inference.estimate(eager, picture, np.array([[10.0, 10.0, 60.0, 90.0]]))
    finally:
        eager.config = config
    assert tight and [p.box for p in wide] == [p.box for p in tight]
    for person in wide:
        (x0, y0, x1, y1), (height, width) = person.box, picture.shape[:2]
        x, y = 0.1 * (x1 - x0), 0.1 * (y1 - y0)
        expected = [max(x0 - x, 0), max(y0 - y, 0), min(x1 + x, width), min(y1 + y, height)]
        found = [person.x, person.y, person.x + person.w, person.y + person.h]
        assert np.abs(np.subtract(found, expected)).max() <= 2, "to what rounding down takes away"
    assert [(p.x, p.y, p.w, p.h) for p in given] == [(10, 10, 50, 80)]


@pytest.fixture(scope="module")
def eager():
    """A tiny network that reports persons whatever it sees."""
    torch.manual_seed(0)
    model = ParsingRCNN(CONFIGS["tiny"].tuned(score_threshold=0.0))
    torch.nn.init.normal_(model.roi_heads["box_predictor"].cls_score.weight)
    return model


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (33, 47), (240, 320)])
def test_estimate_stays_inside_the_picture(eager, shape):
    rng = np.random.default_rng(0)
    persons = inference.estimate(eager, rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert persons
    for person in persons:
        assert person.iuv.shape == (person.h, person.w, 3)
        assert person.x >= 0 and person.y >= 0 and person.iuv[..., 0].max() <= 24
        assert person.x + person.w <= max(shape[1], person.x + 1) and person.y + person.h <= max(shape[0], person.y + 1)
    assert [person.score for person in persons] == sorted((person.score for person in persons), reverse=True)


def test_estimate_refuses_what_is_no_picture(eager):
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8 RGB"):
            inference.estimate(eager, bad)


def test_nobody(eager):
    model = ParsingRCNN(CONFIGS["tiny"].tuned(score_threshold=1.0))
    assert inference.estimate(model, np.zeros((50, 60, 3), np.uint8)) == []
