from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from harness.stats.shift import _cumulated, judge_shift, readings_needed, shift_estimate, shift_p_value
from harness.stats.verdicts import Rule

LOW, HIGH = [1.0, 2.0, 3.0, 4.0], [11.0, 12.5, 13.1, 14.7]
QUIET = [100.0, 101.0, 99.5, 100.5, 99.0, 100.2]
FASTER, SLOWER = Rule(0.03, higher_is_better=True), Rule(0.03, higher_is_better=False)
values = st.lists(st.floats(-100, 100), min_size=1, max_size=9, unique=True)


def test_the_shift_is_the_median_of_all_differences():
    assert shift_estimate([0.0, 1.0, 5.0], [2.0, 10.0]).value == 3.5  # of 2, 1, -3, 10, 9, 5
    assert shift_estimate([3.0], [5.0]).value == 2.0


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (3, 4), (2, 7), (1, 30)])
def test_few_readings_give_no_interval(m, n):
    found = shift_estimate(list(range(m)), list(range(n)))
    assert (found.low, found.high, found.n) == (None, None, m)


@pytest.mark.parametrize(("m", "n"), [(4, 4), (3, 5), (2, 8)])
def test_the_fewest_readings_give_the_least_and_the_greatest_difference(m, n):
    base, new = [float(each) for each in range(m)], [10.0 + each / 8 for each in range(n)]
    found = shift_estimate(base, new)
    assert (found.low, found.high) == (10.0 - (m - 1), 10.0 + (n - 1) / 8)


def test_the_rank_is_that_of_tables():
    # Hollander, Wolfe & Chicken, Nonparametric Statistical Methods: U of 5 is the critical value of 6 against 6 at 5 %
    base, new = [float(each) for each in range(6)], [100.0 + each / 10 for each in range(6)]
    differences = sorted(after - before for before in base for after in new)
    found = shift_estimate(base, new)
    assert (found.low, found.high) == (differences[5], differences[-6])


@pytest.mark.parametrize(("base", "new"), [([], [1.0]), ([1.0], [])])
def test_no_readings_have_no_shift(base, new):
    with pytest.raises(ValueError, match="no readings"):
        shift_estimate(base, new)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 5), (6, 6), (7, 4)])
def test_the_distribution_counts_every_order(m, n):
    counts = _cumulated(m, n)
    assert len(counts) == m * n + 1
    assert counts[0] == 1
    assert counts[-1] == math.comb(m + n, m)


@given(values, values)
def test_the_p_value_is_that_of_scipy(base, new):
    if set(base) & set(new):
        return
    assert shift_p_value(base, new) == pytest.approx(mannwhitneyu(base, new, method="exact").pvalue)


def test_many_readings_have_nearly_the_p_value_of_scipy():
    rng = np.random.default_rng(0)
    base, new = rng.normal(size=80), rng.normal(0.4, size=90)
    exact = mannwhitneyu(base, new, method="exact").pvalue
    assert shift_p_value(list(base), list(new)) == pytest.approx(exact, rel=0.02)


def test_a_p_value_is_of_a_shift_beyond_the_bound():
    assert shift_p_value(LOW, HIGH) == 2 / 70
    assert shift_p_value(LOW, HIGH, bound=10.0) > 0.3
    assert shift_p_value(LOW, HIGH, bound=20.0) == 1.0
    assert shift_p_value(HIGH, LOW, bound=5.0) == shift_p_value(LOW, HIGH, bound=5.0)


def test_ties_with_the_bound_do_not_count():
    assert shift_p_value([1.0] * 6, [1.0] * 6) == 1.0
    assert shift_p_value([1.0] * 6, [2.0] * 6, bound=1.0) == 1.0


@given(values, values)
def test_the_interval_excludes_a_bound_only_where_the_test_does(base, new):
    found = shift_estimate(base, new)
    if found.low is not None and found.low > 0:
        assert shift_p_value(base, new) <= 0.05


@pytest.mark.parametrize(("m", "n"), [(4, 4), (6, 6), (6, 8), (12, 12)])
@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "standard_exponential"])
def test_the_interval_covers_the_shift_whatever_the_distribution(m, n, draw):
    rng = np.random.default_rng(1)
    repetitions, covered, alarms = 1500, 0, 0
    for _ in range(repetitions):
        base, new = (getattr(rng, draw)(size=size) for size in (m, n))
        found = shift_estimate(list(base), list(new + 3.0))
        covered += found.low <= 3.0 <= found.high
        alarms += shift_p_value(list(base), list(new)) <= 0.05
    assert covered / repetitions >= 0.935
    assert alarms / repetitions <= 0.065


@pytest.mark.parametrize(("p_value", "readings"), [(0.1, 3), (0.05, 4), (0.0022, 6), (0.05 / 34, 7), (2.0, 1)])
def test_the_readings_that_a_p_value_needs(p_value, readings):
    assert readings_needed(p_value) == readings


@pytest.mark.parametrize(
    ("factor", "rule", "verdict"),
    [
        (1.0, FASTER, "unchanged"),
        (0.9, FASTER, "regressed"),
        (1.1, FASTER, "improved"),
        (1.1, SLOWER, "regressed"),
        (0.9, SLOWER, "improved"),
        (0.96, FASTER, "undecided"),
        (1.03, SLOWER, "undecided"),
    ],
)
def test_the_verdict_on_two_samples(factor, rule, verdict):
    found = judge_shift(QUIET, [each * factor for each in QUIET], rule, noise=0.05)
    assert found.verdict == verdict
    assert found.ratio.value == pytest.approx(factor)
    assert found.noise == 0.05
    assert found.bound == pytest.approx(0.05)
    assert found.smallest > found.bound
    assert bool(found.reason) == (verdict == "undecided")


def test_a_threshold_above_the_noise_is_the_bound():
    found = judge_shift(QUIET, [each * 0.9 for each in QUIET], Rule(0.2, higher_is_better=True), noise=0.05)
    assert (found.verdict, found.bound) == ("unchanged", pytest.approx(0.2))


def test_a_change_below_the_floor_does_not_matter():
    base, rule = [each * 1e-6 for each in QUIET], Rule(0.03, higher_is_better=False, floor=5e-3)
    assert judge_shift(base, [each * 2 for each in base], rule, noise=0.05).verdict == "unchanged"


def test_too_few_readings_are_undecided_and_say_so():
    found = judge_shift([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], SLOWER, noise=0.05)
    assert found.verdict == "undecided"
    assert found.reason == "3 against 3 rounds give no interval; four each are the fewest"
    assert found.smallest is None


def test_a_change_within_the_noise_says_so():
    quiet = [100.0, 100.1, 100.2, 99.9, 99.8, 100.05]
    found = judge_shift(quiet, [each * 1.04 for each in quiet], SLOWER, noise=0.05)
    assert found.reason == "beyond the threshold, but runs differ as much from time to time"


@pytest.mark.parametrize("reading", [0.0, -1.0, math.nan])
def test_a_reading_that_is_not_positive_is_refused(reading):
    with pytest.raises(ValueError, match="not positive"):
        judge_shift(QUIET, [*QUIET[:5], reading], SLOWER, noise=0.05)
