from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.stats.verdicts import LOOKS, Rule, change, judge

SECONDS = Rule(threshold=0.05, higher_is_better=False)
SPEED = Rule(threshold=0.05, higher_is_better=True)
SILENT = [0.0] * 6


def slower(*percent: float) -> list[float]:
    """The changes of blocks that are worse by these percents."""
    return [math.log1p(each / 100) for each in percent]


def verdict_of(changes: list[float], noise: list[float] = SILENT, rule: Rule = SECONDS, base: float = 1.0) -> str:
    return judge(changes, noise, rule, base).verdict


# a change


def test_more_seconds_and_less_speed_are_both_worse():
    assert change(1.0, 2.0, higher_is_better=False) == pytest.approx(math.log(2))
    assert change(2.0, 1.0, higher_is_better=True) == pytest.approx(math.log(2))


@given(st.floats(0, math.inf), st.floats(0, math.inf), st.booleans())
def test_a_change_is_never_nan_and_its_reverse_is_its_mirror_image(base, new, higher):
    there, back = change(base, new, higher), change(new, base, higher)
    assert there == pytest.approx(-back, rel=1e-9, abs=1e-12)
    assert there == pytest.approx(-change(base, new, not higher))
    assert (there > 0) == (new < base if higher else new > base) or abs(there) < 1e-12


@pytest.mark.parametrize(
    ("base", "new", "found"),
    [(0, 0, 0), (0, 1, math.inf), (1, 0, -math.inf), (math.inf, math.inf, 0), (1, math.inf, math.inf),
     (math.inf, 1, -math.inf), (0, math.inf, math.inf), (1e-300, 1e300, 600 * math.log(10))],
)  # fmt: skip
def test_zeros_infinities_and_extremes_have_a_change(base, new, found):
    assert change(base, new, higher_is_better=False) == pytest.approx(found)


@pytest.mark.parametrize(("base", "new"), [(-1, 1), (1, -1), (math.nan, 1), (1, math.nan)])
def test_negative_values_and_nan_have_none(base, new):
    with pytest.raises(ValueError, match="no ratio"):
        change(base, new, higher_is_better=False)


# when a change matters


def test_the_bound_is_the_larger_of_threshold_and_floor():
    rule = Rule(0.05, higher_is_better=False, floor=0.1)
    assert rule.bound(10.0) == pytest.approx(math.log(1.05))
    assert rule.bound(1.0) == pytest.approx(math.log(1.1))
    assert rule.bound(-1.0) == pytest.approx(math.log(1.1))
    assert rule.bound(0.0) == pytest.approx(math.log(1.05))


# the verdict on blocks


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        (slower(8, 9, 10, 11, 12, 13), "regressed"),
        (slower(-8, -9, -10, -11, -12, -13), "improved"),
        (slower(-2, -1, 0, 1, 2, 3), "unchanged"),
        (slower(4, 9, 10, 11, 12, 13), "undecided"),
        (slower(-4, -9, -10, -11, -12, -13), "undecided"),
        (slower(-2, -1, 0, 1, 2, 6), "undecided"),
        (slower(-20, 20, -20, 20, -20, 20), "undecided"),
    ],
)
def test_the_verdict_is_where_the_interval_lies(changes, verdict):
    assert verdict_of(changes) == verdict
    assert judge(changes, SILENT, SPEED, 1.0).verdict == verdict


def test_the_ratio_is_new_over_base_whichever_is_better():
    changes = slower(8, 9, 10, 11, 12, 13)
    seconds, speed = judge(changes, SILENT, SECONDS, 1.0).ratio, judge(changes, SILENT, SPEED, 1.0).ratio
    assert (seconds.low, seconds.high) == (pytest.approx(1.08), pytest.approx(1.13))
    assert (speed.low, speed.high) == (pytest.approx(1 / 1.13), pytest.approx(1 / 1.08))
    assert speed.value == pytest.approx(1 / seconds.value)


def test_a_change_below_the_absolute_floor_is_unchanged_however_large_its_share():
    tenfold, rule = [math.log(10)] * 6, Rule(0.05, higher_is_better=False, floor=1e-3)
    assert verdict_of(tenfold, rule=rule, base=1e-5) == "unchanged"
    assert verdict_of(tenfold, rule=rule, base=1.0) == "regressed"


def test_noise_raises_the_bound_of_a_regression():
    changes = slower(8, 9, 10, 11, 12, 13)
    found = judge(changes, slower(-9, -3, 0, 1, 2, 4), SECONDS, 1.0)
    assert (found.verdict, found.bound) == ("undecided", pytest.approx(1 / 0.91 - 1))
    assert found.noise == found.bound
    assert "base differs as much from itself" not in found.reason
    worse = judge(changes, slower(-9, 0, 0, 0, 0, 20), SECONDS, 1.0)
    assert worse.reason == "beyond the threshold, but base differs as much from itself"
    assert worse.more_blocks is None


def test_noise_never_widens_unchanged():
    changes = slower(-2, 0, 1, 4, 6, 7)
    assert judge(changes, slower(-30, -20, 10, 20, 30, 40), SECONDS, 1.0).verdict == "undecided"
    assert verdict_of(slower(-2, -1, 0, 1, 2, 3), slower(-30, -20, 10, 20, 30, 40)) == "unchanged"


def test_noise_that_is_smaller_than_the_threshold_changes_nothing():
    assert judge(slower(*[6] * 6), slower(-1, 1, -1, 1, -1, 1), SECONDS, 1.0).bound == pytest.approx(0.05)


def test_of_few_noise_readings_the_farthest_counts_of_many_their_interval():
    assert judge(SILENT, slower(0, -50, 10), SECONDS, 1.0).noise == pytest.approx(1.0)
    assert judge(SILENT, slower(*range(12), 80), SECONDS, 1.0).noise == pytest.approx(0.1)
    assert judge(SILENT, [], SECONDS, 1.0).noise is None


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fewer_than_six_blocks_decide_nothing_and_say_how_many_are_missing(count):
    found = judge([1.0] * count, [0.0] * count, SECONDS, 1.0)
    assert (found.verdict, found.more_blocks, found.reason) == ("undecided", 6 - count, f"{count} of 6 blocks")
    assert (found.ratio.value, found.ratio.low, found.ratio.high) == (pytest.approx(math.e), None, None)
    assert (found.smallest is None) == (count == 1)


def test_more_confidence_needs_more_blocks():
    found = judge([1.0] * 7, [], SECONDS, 1.0, confidence=LOOKS[12])
    assert (found.more_blocks, found.reason) == (2, "7 of 9 blocks")
    assert judge([1.0] * 9, [], SECONDS, 1.0, confidence=LOOKS[12]).verdict == "regressed"


def test_no_blocks_are_an_error():
    with pytest.raises(ValueError, match="no values"):
        judge([], [], SECONDS, 1.0)


@pytest.mark.parametrize(("percent", "verdict"), [(0, "unchanged"), (4.9, "unchanged"), (5.1, "regressed")])
def test_equal_blocks_leave_no_doubt(percent, verdict):
    found = judge(slower(*[percent] * 6), SILENT, SECONDS, 1.0)
    assert found.verdict == verdict
    assert found.smallest == pytest.approx(0.05)


def test_infinite_changes_are_judged():
    found = judge([math.inf] * 6, SILENT, SECONDS, 0.0)
    assert (found.verdict, found.ratio.value, found.smallest) == ("regressed", math.inf, None)
    assert verdict_of([-math.inf] * 6) == "improved"
    assert verdict_of([math.inf, -math.inf] * 3) == "undecided"
    assert verdict_of([*SILENT[:5], math.inf]) == "undecided"
    assert verdict_of(slower(*[50] * 6), [0.0, math.inf]) == "undecided"


@given(st.lists(st.floats(-900, 900), min_size=1, max_size=25), st.lists(st.floats(-900, 900), max_size=25))
def test_any_finite_changes_have_a_verdict_and_their_mirror_image_the_mirrored_one(changes, noise):
    found = judge(changes, noise, SECONDS, 1.0)
    mirrored = judge([-each for each in changes], noise, SECONDS, 1.0)
    swap = {"regressed": "improved", "improved": "regressed"}
    assert mirrored.verdict == swap.get(found.verdict, found.verdict)
    assert (mirrored.p_value, mirrored.bound) == (found.p_value, found.bound)
    assert found.more_blocks is None or found.more_blocks >= 1


@given(st.integers(1, 40), st.integers(0, 40))
def test_the_p_value_is_that_of_a_sign_test_against_the_bound(blocks, beyond):
    beyond = min(beyond, blocks)
    found = judge(slower(*[10] * beyond, *[1] * (blocks - beyond)), [], SECONDS, 1.0)
    assert found.p_value == pytest.approx(min(1, 2 * binomtest(beyond, blocks, alternative="greater").pvalue))


# what more would tell


def test_more_blocks_are_fewer_the_farther_the_change_is_from_the_bound():
    def more(shift: float) -> int | None:
        return judge(slower(*(shift + each for each in (-4, -2, -1, 1, 2, 8))), SILENT, SECONDS, 1.0).more_blocks

    asked = [more(shift) for shift in (5.5, 6, 7, 8)]
    assert all(near > far >= 1 for near, far in pairwise(asked))


def test_a_change_on_the_bound_is_not_decided_by_more_blocks():
    bound = SECONDS.bound(1.0)
    assert judge([bound, bound, bound, bound, 0.0, 0.2], SILENT, SECONDS, 1.0).more_blocks is None


def test_the_smallest_change_lies_beyond_the_bound_and_falls_with_more_and_quieter_blocks():
    def smallest(blocks: int, spread: float) -> float:
        drawn = np.random.default_rng(1).normal(0, spread, blocks).tolist()
        return judge(drawn, [], SECONDS, 1.0).smallest

    assert smallest(6, 0.02) > smallest(24, 0.02) > smallest(96, 0.02) > 0.05
    assert smallest(24, 0.02) > smallest(24, 0.01)
