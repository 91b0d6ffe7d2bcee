"""Where U and V lie in labels."""

import sys

import numpy as np
import pytest

from zoo.coordinates import LEAST_PEOPLE, main, part_statistics, people, table
from zoo.metrics import Truth
from zoo.tests.test_markdown import cells


def ramp(part=2, narrow=1.0):
    """A part of 32 x 32 pixels whose U runs down and whose V runs across, ``narrow`` times as far as it could."""
    iuv = np.zeros((40, 48, 3), np.uint8)
    steps = np.round(127.5 + narrow * np.linspace(-127.5, 127.5, 32))
    iuv[4:36, 8:40, 0] = part
    iuv[4:36, 8:40, 1] = steps[:, None]
    iuv[4:36, 8:40, 2] = steps[None, :] / 2
    return iuv


def test_means_and_spreads_of_a_ramp():
    statistics = part_statistics([ramp()] * LEAST_PEOPLE)
    assert list(statistics) == [2]
    # A uniform distribution's standard deviation is its width / sqrt(12), of 32 steps a little more.
    assert statistics[2] == pytest.approx([0.5, 0.25, 0.298, 0.149], abs=0.003)


def test_a_chart_drawn_to_its_middle_has_less_spread():
    full, narrow = (part_statistics([ramp(narrow=n)] * LEAST_PEOPLE)[2] for n in (1.0, 0.5))
    assert narrow[:2] == pytest.approx(full[:2], abs=0.003)
    assert narrow[2:] == pytest.approx(full[2:] / 2, abs=0.003)


def test_few_people_and_few_pixels_say_nothing():
    tiny = ramp()
    tiny[:, 10:] = 0
    tiny[30:] = 0
    assert not part_statistics([ramp()] * (LEAST_PEOPLE - 1) + [tiny] * 5)


def test_people_are_told_apart_where_the_label_does():
    label = np.dstack([ramp(), np.zeros((40, 48), np.uint8)])
    label[4:36, 8:40, 3] = 1
    label[4:36, 24:40, 3] = 2
    boxes = np.array([[8, 4, 24, 36], [24, 4, 40, 36]])
    halves = list(people(Truth(label, boxes, np.zeros((0, 4)))))
    assert [np.count_nonzero(half[..., 0]) for half in halves] == [512, 512]
    assert len(people(Truth(label, None, np.zeros((0, 4))))) == 1


def test_table_has_a_dash_where_a_set_lacks_a_part():
    lines = table({"a": {2: np.array([0.5, 0.25, 0.3, 0.15])}, "b": {5: np.array([0.1, 0.2, 0.3, 0.4])}}).splitlines()
    assert cells(lines[2]) == ["2", "0.50 ± 0.30", "0.25 ± 0.15", "-", "-"]
    assert cells(lines[3]) == ["5", "-", "-", "0.10 ± 0.30", "0.20 ± 0.40"]


@pytest.mark.parametrize(("arguments", "says"), [([], "nothing to measure"), (["--photos", "nowhere"], "nowhere/index.jsonl")])
def test_what_is_missing_is_named(arguments, says, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["zoo.coordinates", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code not in (0, None) and says in f"{end.value.code} {capsys.readouterr().err}"
