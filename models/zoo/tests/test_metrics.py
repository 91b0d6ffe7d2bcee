"""Figures of hand-made maps whose answers are known."""

import numpy as np
import pytest

from zoo import geodesic, metrics
from zoo.augment import IGNORE, UNKNOWN, mirror_label
from zoo.inference import Person
from zoo.metrics import Candidates, Truth, average_precision, compare, compose, evaluate_picture, summarise
from zoo.tests.body_mesh import sheet


@pytest.fixture(scope="module")
def surface():
    positions, faces, part, u, v = sheet()
    return geodesic.Surface(geodesic.lookup_table(faces, part, u, v), geodesic.distances(positions, faces))


def body(height=60, width=40):
    """A person that fills the map: torso front on the left half, right hand on the other, U and V growing evenly."""
    iuv = np.zeros((height, width, 3), np.uint8)
    half = width // 2
    iuv[..., 0] = np.where(np.arange(width) < half, 2, 3)
    iuv[..., 1] = np.tile(np.linspace(0, 255, half).astype(np.uint8), 2)
    iuv[..., 2] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return iuv


def person(iuv, x, y, score=0.9):
    height, width = iuv.shape[:2]
    return Person((x, y, x + width, y + height), score, x, y, width, height, iuv)


def truth(*people, shape=(100, 140), **changes):
    label = np.zeros((*shape, 4), np.uint8)
    boxes = []
    for number, (iuv, x, y) in enumerate(people, 1):
        height, width = iuv.shape[:2]
        label[y : y + height, x : x + width] = np.dstack([iuv, np.full((height, width), number, np.uint8)])
        boxes.append((x, y, x + width, y + height))
    arguments = {"boxes": np.array(boxes, float).reshape(-1, 4), "ignore_boxes": np.zeros((0, 4))}
    return Truth(label, **arguments | changes)


def test_perfect(surface):
    result = compare(body(), body(), surface)
    assert (result.iou, result.agreement, result.du, result.dv) == (1, 1, 0, 0)
    assert (result.gps, result.gpsm, result.gpsm_part, result.sides, result.torso) == (1, 1, 1, 0, 0)
    assert result.part_pixels[[2, 3]].tolist() == result.part_hits[[2, 3]].tolist() == [1200, 1200]
    assert result.view == "front"


def test_shifted_outline(surface):
    wide = np.zeros((60, 80, 3), np.uint8)
    right = wide.copy()
    wide[:, :40], right[:, 10:50] = body(), body()
    result = compare(wide, right, surface)
    assert result.iou == pytest.approx(30 / 50)
    assert result.agreement == pytest.approx(2 / 3)  # columns 10..19 and 30..39 of 10..39
    # A quarter is missing, the rest a quarter of a metre beside: 0.75 * exp(-0.25^2 / (2 * 0.255^2)).
    assert result.gps == pytest.approx(0.464, abs=0.02)


def test_wrong_coordinates(surface):
    moved = body()
    moved[..., 1] = np.minimum(moved[..., 1].astype(int) + 51, 255)
    moved[..., 2] = 255 - moved[..., 2]
    result = compare(body(), moved, surface)
    assert result.iou == result.agreement == 1
    assert 0.15 < result.du < 0.2
    assert result.dv == pytest.approx(0.5, abs=0.01)


def test_gps_is_the_formula(surface):
    """Everything 0.3 m too low: exp(-0.3^2 / (2 * 0.255^2)) = 0.5006, and per part with 0.351 and 0.107."""
    flat = np.zeros((10, 20, 3), np.uint8)
    flat[:, :10], flat[:, 10:] = (2, 128, round(0.25 * 255)), (3, 128, round(0.25 * 255))
    low = flat.copy()
    low[..., 2] = round(0.55 * 255)
    result = compare(flat, low, surface)
    assert result.gps == pytest.approx(0.5006, abs=1e-3)
    assert result.gpsm == pytest.approx(0.5006**0.5, abs=1e-3)
    assert result.gpsm_part == pytest.approx(np.sqrt((np.exp(-0.045 / 0.351**2) + np.exp(-0.045 / 0.107**2)) / 2), abs=1e-3)


def test_missing_pixels_are_worth_nothing(surface):
    half = body()
    half[30:] = 0
    result = compare(body(), half, surface)
    assert result.gps == pytest.approx(0.5, abs=1e-3) and result.iou == 0.5 and result.agreement == 1


def test_ignored_pixels_do_not_count(surface):
    judged, found = body(), body()
    judged[:20] = (IGNORE, 0, 0)
    found[:20] = (7, 3, 3)
    result = compare(judged, found, surface)
    assert (result.iou, result.agreement, result.gps) == (1, 1, 1)


def test_swapped_sides_and_torso():
    parts = np.zeros((1, 6, 3), np.uint8)
    parts[0, :, 0] = (3, 4, 10, 19, 1, 2)
    swapped = parts.copy()
    swapped[0, :, 0] = (4, 4, 9, 20, 2, 2)
    result = compare(parts, swapped)
    assert result.sides == 0.75 and result.torso == 0.5 and result.view == "side"
    assert np.isnan(result.gps)


def test_a_mirrored_pair_has_the_same_figures():
    rng = np.random.default_rng(0)
    a, b = (np.dstack([rng.integers(0, 25, (30, 30)), rng.integers(0, 256, (30, 30, 2))]).astype(np.uint8) for _ in range(2))
    plain, mirrored = compare(a, b), compare(mirror_label(a), mirror_label(b))
    for name in ("iou", "agreement", "du", "dv", "sides", "torso"):
        assert getattr(plain, name) == pytest.approx(getattr(mirrored, name), abs=1e-6), name


def test_nobody_anywhere_is_no_figure():
    empty = np.zeros((5, 5, 3), np.uint8)
    result = compare(empty, empty)
    assert np.isnan(result.iou) and result.view == "none"


def test_compose_puts_the_best_in_front_and_cuts_what_sticks_out():
    small = np.full((4, 4, 3), 2, np.uint8)
    frame = compose([person(small + 1, 1, 1, 0.9), person(small, -2, -2, 0.5), person(small, 8, 8, 0.4)], (10, 10))
    assert frame[0, 0, 0] == 2 and frame[1, 1, 0] == 3 and frame[9, 9, 0] == 2
    assert np.count_nonzero(frame[..., 0]) == 16 + 3 + 4


def test_everybody_found(surface):
    picture = truth((body(), 5, 5), (body(), 80, 20))
    result = evaluate_picture(picture, [person(body(), 80, 20, 0.7), person(body(), 5, 5)], surface, 0.5)
    summary = summarise([result])
    people = summary["people"]
    assert (people["found"], people["extra"], people["count"]) == (1, 0, 2)
    for figure in ("box_ap", "box_ap50", "ap_gps", "ap", "ap_part", "iou", "gpsm"):
        assert people[figure] == pytest.approx(1), figure
    assert summary["picture"]["ap"] == 1 and summary["parts"] == {2: 1, 3: 1}
    assert summary["views"]["front"]["count"] == 2


def test_a_missing_person_costs_recall(surface):
    picture = truth((body(), 5, 5), (body(), 80, 20))
    summary = summarise([evaluate_picture(picture, [person(body(), 5, 5)], surface, 0.5)])
    people = summary["people"]
    assert people["found"] == 0.5 and people["iou"] == 0.5 and people["gps"] == 0.5
    assert people["agreement"] == 1  # of those found
    assert people["ap"] == people["box_ap"] == pytest.approx(51 / 101)
    assert summary["picture"]["iou"] == 0.5


def test_weak_detections_count_for_precision_only(surface):
    result = evaluate_picture(truth((body(), 5, 5)), [person(body(), 5, 5, 0.3)], surface, 0.5)
    people = summarise([result])["people"]
    assert people["found"] == 0 and people["iou"] == 0 and people["box_ap"] == pytest.approx(1)


def test_wrong_detections(surface):
    found = [person(body(), 5, 5, 0.8), person(body(), 90, 20, 0.9)]
    complete = evaluate_picture(truth((body(), 5, 5)), found, surface, 0.5)
    assert complete.extra == 1
    assert average_precision([complete.box]) == pytest.approx(0.5)

    label = truth((body(), 5, 5))
    label.label[:, 60:, 3] = UNKNOWN
    for changes in ({"complete": False}, {"ignore_boxes": np.array([[85, 15, 140, 90]], float)}):
        excusing = Truth(label.label, label.boxes, **{"ignore_boxes": np.zeros((0, 4))} | changes)
        result = evaluate_picture(excusing, found, surface, 0.5)
        assert result.extra == 0 and result.whole.iou == 1
        assert average_precision([result.box]) == pytest.approx(1)


def test_a_second_box_on_the_same_person_is_wrong_even_where_labels_are_incomplete(surface):
    found = [person(body(), 5, 5, 0.9), person(body(), 8, 8, 0.8)]
    assert evaluate_picture(truth((body(), 5, 5), complete=False), found, surface, 0.5).extra == 1


def test_of_two_equal_boxes_the_outline_decides(surface):
    upper, lower = body(), body()
    upper[30:], lower[:30] = 0, 0
    picture = truth((body(), 20, 20))
    picture.label[50:80, 20:60, 3] = 2
    picture.boxes = np.array([[20, 20, 60, 80], [20, 20, 60, 80]], float)
    result = evaluate_picture(picture, [person(lower, 20, 20, 0.9), person(upper, 20, 20, 0.8)], surface, 0.5)
    assert [p.iou for p in result.people] == [1, 1]


def test_maps_without_people_are_judged_as_whole(surface):
    picture = truth((body(), 5, 5))
    picture.boxes = None
    summary = summarise([evaluate_picture(picture, [person(body(), 5, 5)], surface, 0.5)])
    assert summary["people"] is None and summary["picture"]["ap"] == 1 and summary["parts"] == {2: 1, 3: 1}


def test_box_iou():
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], float)
    assert metrics.box_iou(boxes, np.array([[5, 0, 15, 10]], float)) == pytest.approx(np.array([[1 / 3], [0]]))
    assert metrics.covered(boxes, np.array([[5, 0, 100, 100]], float)).tolist() == [0.5, 1]
    assert metrics.covered(boxes, np.zeros((0, 4))).tolist() == [0, 0]


def candidates(scores, similarity, excused=False):
    similarity = np.array(similarity, float).reshape(len(scores), -1)
    return Candidates(np.array(scores), similarity, np.full(len(scores), excused))


@pytest.mark.parametrize(
    ("pictures", "threshold", "expected"),
    [
        ([candidates([0.9], [[0.7]])], 0.7, 1),
        ([candidates([0.9], [[0.69]])], 0.7, 0),
        # Right, wrong, right: precision 1 up to recall 1/2 (51 points of 101), then 2/3.
        ([candidates([0.9, 0.8, 0.7], [[1, 0], [0, 0], [0, 1]])], 0.5, (51 + 50 * 2 / 3) / 101),
        # The wrong one has the lowest score.
        ([candidates([0.9, 0.1], [[1], [0]])], 0.5, 1),
        ([candidates([0.9, 0.95], [[1], [0]], excused=True)], 0.5, 1),
        # One person cannot be found twice, across pictures the order is by score.
        ([candidates([0.6], [[1]]), candidates([0.9, 0.8], [[1], [1]])], 0.5, (51 + 50 * 2 / 3) / 101),
    ],
)
def test_average_precision(pictures, threshold, expected):
    assert average_precision(pictures, [threshold]) == pytest.approx(expected)


def test_average_precision_is_the_mean_over_thresholds():
    assert average_precision([candidates([0.9], [[0.72]])]) == pytest.approx(0.5)  # .50 .55 .60 .65 .70
    assert np.isnan(average_precision([candidates([0.9], np.zeros((1, 0)))]))
