"""Outlines of labels find the edges in the picture."""

import cv2
import numpy as np

from zoo.augment import IGNORE
from zoo.outline import sharpened

LEG = 13


def standing(gap=12):
    """A dark person with two legs before a bright wall: picture, where the person is, and the box."""
    person = np.zeros((240, 160), np.uint8)
    cv2.circle(person, (80, 40), 16, 1, -1)
    cv2.rectangle(person, (55, 55), (105, 130), 1, -1)
    cv2.rectangle(person, (55, 130), (80 - gap // 2, 215), 1, -1)
    cv2.rectangle(person, (80 + gap // 2, 130), (105, 215), 1, -1)
    person = person > 0
    noise = np.random.default_rng(0).normal(0, 6, (240, 160, 3))
    image = np.where(person[..., None], (70, 50, 40), (200, 205, 190)) + noise
    rows, columns = np.nonzero(person)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return np.clip(image, 0, 255).astype(np.uint8), person, box


def label_of(part):
    """Label (h, w, 4) of one person whose pixels have these parts."""
    return np.dstack([part, 40 * (part % IGNORE > 0), 40 * (part % IGNORE > 0), part > 0]).astype(np.uint8)


def test_an_outline_too_wide_shrinks_to_the_edge():
    image, person, box = standing()
    wide = cv2.dilate(person.astype(np.uint8), np.ones((3, 3))) > 0
    before = label_of(np.where(wide, LEG, 0))
    after = sharpened(image, before, 1, box + (-1, -1, 1, 1))
    gone = wide & ~person
    assert (after[gone] == 0).all(1).mean() > 0.9
    assert (after[person] == before[person]).all(1).mean() > 0.99
    assert (before[wide, 0] == LEG).all()  # what was given is left alone


def test_a_gap_between_legs_becomes_background():
    image, person, box = standing(gap=5)
    part = np.where(person, LEG, 0)
    part[130:216, 78:83] = IGNORE
    gap = (part == IGNORE) & ~person
    after = sharpened(image, label_of(part), 1, box)
    assert (after[gap] == 0).all(1).mean() > 0.9


def test_wide_open_places_stay_open():
    image, person, box = standing()
    part = np.where(person, LEG, 0)
    part[190:216, 110:150] = IGNORE  # might be a bright shoe
    after = sharpened(image, label_of(part), 1, box + (0, 0, 45, 0))
    assert (after[192:214, 113:148, 0] == IGNORE).all() and (after[192:214, 113:148, 3] == 1).all()


def test_other_people_are_left_alone():
    image, person, box = standing()
    label = label_of(np.where(person, LEG, 0))
    label[60:120, 110:125] = (LEG, 1, 2, 2)
    after = sharpened(image, label, 1, box)
    assert (after[60:120, 110:125] == (LEG, 1, 2, 2)).all()


def test_who_has_nothing_certain_stays():
    image, _, _ = standing()
    part = np.zeros((240, 160), np.uint8)
    part[100:105, 80:84] = LEG
    assert np.array_equal(sharpened(image, label_of(part), 1, np.array([80, 100, 84, 105])), label_of(part))
