"""Bootstrap intervals and paired differences, where the answer is known."""

import numpy as np
import pytest

from zoo import paired
from zoo.paired import Row


def of_shares(values):
    return [Row(float(value), 1.0) for value in values]


def test_the_interval_of_a_share_is_that_of_the_binomial():
    rng = np.random.default_rng(3)
    values = rng.permutation([1] * 60 + [0] * 140)
    found = paired.interval(of_shares(values))
    deviation = np.sqrt(0.3 * 0.7 / 200)
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - 1.96 * deviation, abs=0.01)
    assert found.high == pytest.approx(0.3 + 1.96 * deviation, abs=0.01)


def test_a_figure_is_a_ratio_of_sums_not_a_mean_of_ratios():
    assert paired.interval([Row(1, 1), Row(0, 3), Row(0, 0)]).value == pytest.approx(0.25)


def test_pairs_tell_what_separate_intervals_cannot():
    """Pictures differ much, the networks by a little, but on every picture: an unpaired test would see nothing."""
    hard = np.random.default_rng(0).uniform(0, 1, 100)
    second = of_shares(hard)
    first = of_shares(hard + 0.02 + np.random.default_rng(1).normal(0, 0.02, 100))
    result = paired.difference(first, second, more_is_better=True)
    assert result.first.low < result.second.high, "the intervals overlap"
    assert result.verdict == "better" and result.change.value == pytest.approx(0.02, abs=0.006)
    assert 0 < result.change.low < result.change.value < result.change.high < 0.03
    assert paired.difference(first, second, more_is_better=False).verdict == "worse"
    assert paired.difference(second, first, more_is_better=True).verdict == "worse"


def test_differences_within_their_interval_are_none():
    rng = np.random.default_rng(5)
    verdicts = [
        paired.difference(*(of_shares(rng.uniform(0, 1, 60)) for _ in range(2)), more_is_better=True).verdict for _ in range(40)
    ]
    assert verdicts.count("none") >= 34  # 95 of 100, by chance a few more or less
    assert paired.difference(of_shares([1, 0, 1]), of_shares([1, 0, 1]), True).verdict == "none"


def test_what_nobody_measured_is_no_figure():
    nothing = paired.interval([Row(0, 0), Row(0, 0)])
    assert np.isnan(nothing.value) and str(nothing) == "-"
    assert paired.difference([Row(0, 0)], [Row(0, 0)], True).verdict == "none"
    assert str(paired.interval([Row(1, 2)])) == "0.500 [0.500, 0.500]"


def test_other_pictures_are_no_pairs():
    with pytest.raises(ValueError, match="2 and of 1 pictures"):
        paired.difference(of_shares([1, 1]), of_shares([1]), True)


def test_means_leave_out_what_has_no_value():
    assert paired.mean_row([1.0, float("nan"), 2.0]) == Row(3.0, 2.0)
    assert paired.mean_row([]) == Row(0.0, 0.0)
