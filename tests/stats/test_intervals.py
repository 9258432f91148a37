from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.stats.intervals import (
    Estimate,
    clustered_ratio,
    clustered_share,
    effective_number,
    exponential,
    leave_one_out,
    margin95,
    median,
    median_estimate,
    percentile,
    wilson,
)
from harness.stats.quantiles import t95

readings = st.floats(-1e9, 1e9)


@given(st.lists(readings, min_size=1, max_size=60))
def test_median_is_the_one_of_the_standard_library(values):
    assert median(values) == statistics.median(values)


def test_no_values_have_no_median():
    with pytest.raises(ValueError, match="no values"):
        median([])


@given(st.lists(readings, min_size=1, max_size=60), st.floats(0, 1))
def test_percentile_interpolates_as_numpy_does(values, share):
    spread = max(values) - min(values)
    assert percentile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-9 * (1 + spread))


def test_percentile_does_not_need_sorted_values():
    assert percentile([30.0, 10.0, 20.0], 0.75) == 25.0


def test_no_values_have_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_fewer_than_six_readings_give_no_interval(count):
    estimate = median_estimate([float(i) for i in range(count)])
    assert (estimate.low, estimate.high) == (None, None)
    assert estimate.value == (count - 1) / 2
    assert estimate.n == count
    assert f"median of {count}" in estimate.method


def test_six_readings_give_the_extremes_as_interval():
    estimate = median_estimate([5.0, 1.0, 4.0, 2.0, 6.0, 3.0])
    assert (estimate.low, estimate.value, estimate.high) == (1.0, 3.5, 6.0)


def test_less_confidence_needs_fewer_readings():
    estimate = median_estimate([2.0, 1.0], confidence=0.5)
    assert (estimate.low, estimate.value, estimate.high) == (1.0, 1.5, 2.0)


def test_no_readings_have_no_estimate():
    with pytest.raises(ValueError, match="no values"):
        median_estimate([])


@pytest.mark.parametrize("count", range(6, 61))
def test_the_interval_is_the_narrowest_pair_of_order_statistics_that_covers(count):
    """Coverage of [x_(k), x_(n+1-k)] is 1 - 2 P(B < k), B binomial (David & Nagaraja, Order Statistics, 7.1)."""

    def coverage(k: int) -> float:
        return 1 - 2 * sum(math.comb(count, below) for below in range(k)) / 2**count

    estimate = median_estimate([float(rank) for rank in range(1, count + 1)])
    k = int(estimate.low)
    assert estimate.high == count + 1 - k
    assert coverage(k) >= 0.95 > coverage(k + 1)


def test_more_readings_give_a_narrower_interval():
    sample = np.random.default_rng(1).lognormal(size=400).tolist()
    widths = [(e := median_estimate(sample[:n])).high - e.low for n in (6, 25, 100, 400)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 5


@given(st.lists(readings, min_size=6, max_size=40))
def test_the_median_lies_inside_its_interval(values):
    estimate = median_estimate(values)
    assert estimate.low <= estimate.value <= estimate.high


documents = st.lists(st.tuples(st.floats(0, 1e4), st.integers(1, 2000)), min_size=2, max_size=40)


@given(documents)
def test_a_cluster_left_out_moves_the_ratio_to_that_of_the_others(pairs):
    totals, weights = np.array(pairs).T
    ratio = totals.sum() / weights.sum()
    moves = leave_one_out(totals.tolist(), weights.tolist())
    for left_out, move in enumerate(moves):
        others = np.delete(totals, left_out).sum() / np.delete(weights, left_out).sum()
        assert ratio + move == pytest.approx(others, rel=1e-9, abs=1e-6)


@given(documents)
def test_clustered_ratio_follows_the_formula(pairs):
    """HC3: residuals over 1 - leverage (Long & Ervin 2000), a document's leverage being its share of the tokens."""
    totals, weights = np.array(pairs).T
    ratio, leverage = totals.sum() / weights.sum(), weights / weights.sum()
    error = np.sqrt((((totals - ratio * weights) / (1 - leverage)) ** 2).sum()) / weights.sum()
    margin = t95(max(1.0, 1 / (leverage**2).sum() - 1)) * error
    estimate = clustered_ratio(totals.tolist(), weights.tolist())
    near = {"rel": 1e-6, "abs": 1e-6}
    assert estimate.value == pytest.approx(ratio, **near)
    assert estimate.value - estimate.low == pytest.approx(margin, **near)
    assert estimate.high - estimate.value == pytest.approx(margin, **near)
    assert estimate.n == len(pairs)


def test_documents_of_equal_length_give_the_interval_of_a_mean_widened_by_hc3():
    """t SD / sqrt(D), by sqrt(D / (D - 1)): leaving one of D equal documents out scales its residual by D / (D - 1)."""
    means = [2.0, 3.0, 2.5, 4.0, 3.5]
    estimate = clustered_ratio([100 * mean for mean in means], [100] * 5)
    half = 2.776445 * statistics.stdev(means) / math.sqrt(5) * math.sqrt(5 / 4)
    assert (estimate.low, estimate.high) == (pytest.approx(3.0 - half, abs=1e-4), pytest.approx(3.0 + half, abs=1e-4))


@pytest.mark.parametrize(("weights", "number"), [([7, 7, 7], 3.0), ([1, 0, 1], 2.0), ([1, 3], 1.6)])
def test_unequal_weights_tell_as_much_as_fewer_equal_ones(weights, number):
    assert effective_number(weights) == pytest.approx(number)


def test_one_document_that_outweighs_the_rest_leaves_one_degree_of_freedom():
    assert margin95([3.0, 4.0], effective_number([1000, 1])) == pytest.approx(5 * t95(1))


def test_documents_that_are_alike_leave_no_doubt():
    estimate = clustered_ratio([200.0, 400.0, 600.0], [100, 200, 300])
    assert (estimate.low, estimate.value, estimate.high) == (2.0, 2.0, 2.0)


def test_one_document_gives_a_ratio_without_interval():
    assert clustered_ratio([30.0], [10]) == Estimate(3.0, None, None, 1, "one document, no interval")


def test_a_document_in_which_nothing_was_scored_does_not_count():
    with_empty = clustered_ratio([30.0, 0.0, 50.0], [10, 0, 10])
    assert with_empty == clustered_ratio([30.0, 50.0], [10, 10])


@pytest.mark.parametrize("weights", [[], [0], [0, 0]])
def test_nothing_scored_is_an_error(weights):
    with pytest.raises(ValueError, match="nothing was scored"):
        clustered_ratio([0.0] * len(weights), weights)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(counts):
    successes, n = counts
    interval = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    estimate = wilson(successes, n)
    assert estimate.value == successes / n
    assert (estimate.low, estimate.high) == (pytest.approx(interval.low, abs=1e-9), pytest.approx(interval.high))
    assert (estimate.n, estimate.method) == (n, "Wilson score")


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, 2 * n), st.just(n))))
def test_wilson_stays_within_0_and_1_and_keeps_a_width_there(halves):
    estimate = wilson(halves[0] / 2, halves[1])
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.high - estimate.low > 0.003


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 10), (11, 10), (math.nan, 10)])
def test_no_trials_and_successes_outside_them_are_no_share(successes, n):
    with pytest.raises(ValueError, match="no share"):
        wilson(successes, n)


def test_exponential_turns_a_loss_and_its_ends_into_perplexities():
    found = exponential(Estimate(2.0, 1.0, 3.0, 7, "clustered by document"))
    assert found == Estimate(math.exp(2.0), math.exp(1.0), math.exp(3.0), 7, "clustered by document")


def test_exponential_keeps_an_absent_interval_absent():
    found = exponential(Estimate(0.0, None, None, 1, "one document, no interval"))
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_a_loss_too_large_for_exp_gives_an_infinite_perplexity():
    found = exponential(Estimate(1000.0, 700.0, 1300.0, 2, ""))
    assert found.value == math.inf
    assert found.low == math.exp(700.0)
    assert found.high == math.inf


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_none_or_all_keeps_an_interval_within_0_to_1(share: float):
    found = clustered_share([share * 4] * 5, [4.0] * 5)
    assert found.value == share
    assert 0 <= found.low < found.high <= 1


def test_a_share_is_at_least_as_wide_as_both_of_its_intervals():
    successes, trials = [9.0, 1.0, 8.0, 2.0], [10.0] * 4
    found, clustered, binomial = (
        clustered_share(successes, trials), clustered_ratio(successes, trials), wilson(20, 40)
    )  # fmt: skip
    assert found.value == clustered.value == binomial.value
    assert found.low <= min(max(clustered.low, 0), binomial.low)
    assert found.high >= max(min(clustered.high, 1), binomial.high)


def test_a_share_over_one_document_has_no_interval():
    assert clustered_share([3.0], [4.0]).low is None
