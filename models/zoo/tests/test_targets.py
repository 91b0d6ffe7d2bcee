"""Targets for anchors, proposals and RoIs."""

import torch

from zoo import targets
from zoo.augment import IGNORE, SOMEBODY, UNKNOWN


def empty_label(height=64, width=64):
    return torch.zeros(height, width, 4, dtype=torch.uint8)


def test_area_share_counts_pixels_inside_the_picture():
    mask = torch.zeros(10, 10, dtype=torch.bool)
    mask[:, :5] = True
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 10, 10], [-10, 0, 5, 5], [4, 2, 6, 4]])
    assert targets.area_share(mask, boxes).tolist() == [0.5, 0.0, 1.0, 0.5]


def test_matching_by_overlap():
    truth = torch.tensor([[10.0, 10, 30, 30]])
    candidates = torch.tensor([[10.0, 10, 30, 30], [10, 10, 30, 22], [40, 40, 60, 60]])
    states, person = targets.match(candidates, truth, empty_label(), 0.7, 0.3)
    assert states.tolist() == [targets.POSITIVE, targets.UNUSED, targets.NEGATIVE]
    assert person[0] == 0


def test_everybody_gets_the_best_anchor():
    truth = torch.tensor([[0.0, 0, 60, 60], [40, 40, 44, 60]])
    candidates = torch.tensor([[0.0, 0, 60, 60], [36, 40, 48, 62]])
    states, person = targets.match(candidates, truth, empty_label(), 0.7, 0.3, best_for_each=True)
    assert states.tolist() == [targets.POSITIVE, targets.POSITIVE]
    assert person.tolist() == [0, 1]


def test_unlabelled_people_and_unknown_places_are_no_negatives():
    label = empty_label()
    label[:32, :, 3] = SOMEBODY
    label[32:, :32, 3] = UNKNOWN
    candidates = torch.tensor([[0.0, 0, 20, 20], [0, 40, 20, 60], [40, 40, 60, 60]])
    states, _ = targets.match(candidates, torch.zeros(0, 4), label, 0.7, 0.3)
    assert states.tolist() == [targets.UNUSED, targets.UNUSED, targets.NEGATIVE]


def test_a_labelled_person_among_unknown_places_is_positive():
    label = empty_label()
    label[..., 3] = UNKNOWN
    truth = torch.tensor([[8.0, 8, 40, 40]])
    states, _ = targets.match(truth, truth, label, 0.7, 0.3)
    assert states.tolist() == [targets.POSITIVE]


def test_sampling_respects_count_and_share():
    states = torch.tensor([1] * 30 + [0] * 100 + [-1] * 50)
    positives, negatives = targets.sample(states, 40, 0.25)
    assert len(positives) == 10 and len(negatives) == 30
    assert (states[positives] == 1).all() and (states[negatives] == 0).all()


def test_who_has_few_candidates_is_drawn_as_often():
    torch.manual_seed(0)
    states = torch.tensor([targets.POSITIVE] * 100 + [targets.NEGATIVE] * 10)
    person = torch.tensor([0] * 95 + [1] * 5 + [0] * 10)
    counts = sum(person[targets.sample(states, 8, 0.5, person)[0]].bincount(minlength=2) for _ in range(100))
    assert counts.sum() == 400 and 150 < counts[1] < 250
    positives, negatives = targets.sample(states, 400, 0.5, person)
    assert sorted(positives.tolist()) == list(range(100)) and len(negatives) == 10
    assert len(targets.sample(states[100:], 8, 0.5, person[100:])[0]) == 0


def test_jitter_stays_inside():
    torch.manual_seed(0)
    boxes = torch.tensor([[0.0, 0, 64, 48], [60, 40, 64, 48]]).repeat(200, 1)
    moved = targets.jitter(boxes, 0.3, 48, 64)
    assert moved.min() >= 0 and moved[:, 2].max() <= 64 and moved[:, 3].max() <= 48
    assert (moved[:, 2:] - moved[:, :2]).min() > 3.9


def test_labels_on_the_grid_of_a_known_box():
    labels = empty_label(64, 64)[None]
    labels[0, 8:40, 16:32] = torch.tensor([2, 51, 102, 1], dtype=torch.uint8)
    labels[0, 8:40, 32:48] = torch.tensor([15, 255, 0, 1], dtype=torch.uint8)
    rois = torch.tensor([[16.0, 8, 48, 72]])  # the lower half lies below the person
    result = targets.densepose_targets(labels, torch.tensor([0]), rois, torch.tensor([1]), 8)
    assert (result.part[0, :4, :4] == 2).all() and (result.part[0, :4, 4:] == 15).all()
    assert (result.part[0, 4:] == 0).all()
    assert torch.allclose(result.u[0, 0, 0], torch.tensor(0.2)) and torch.allclose(result.v[0, 0, 0], torch.tensor(0.4))
    assert result.u[0, 0, 7] == 1.0


def test_only_the_own_person_counts():
    labels = empty_label(8, 8)[None]
    labels[0, :, 0:2] = torch.tensor([2, 0, 0, 1], dtype=torch.uint8)
    labels[0, :, 2:4] = torch.tensor([2, 0, 0, 2], dtype=torch.uint8)
    labels[0, :, 4:6] = torch.tensor([IGNORE, 0, 0, 1], dtype=torch.uint8)
    labels[0, :, 6:8] = torch.tensor([0, 0, 0, SOMEBODY], dtype=torch.uint8)
    result = targets.densepose_targets(labels, torch.tensor([0]), torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([1]), 4)
    assert result.part[0, 0].tolist() == [2, 0, IGNORE, IGNORE]


def test_coarse_parts():
    part = torch.tensor([[[0, 1, 3, 15, 24, IGNORE]]])
    result = targets.DensePoseTargets(part, part.float(), part.float())
    assert result.coarse(2).flatten().tolist() == [0, 1, 1, 1, 1, IGNORE]
    assert result.coarse(15).flatten().tolist() == [0, 1, 2, 10, 14, IGNORE]
