"""Verdicts on intervals and on exact values, on many metrics at once, and their confirmation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from harness.stats.intervals import Estimate
from harness.stats.verdicts import (
    Judgement,
    Rule,
    confirms,
    control_false_discoveries,
    judge,
    judge_exact,
    judge_interval,
)

SECONDS = Rule(threshold=0.05, higher_is_better=False)
SPEED = Rule(threshold=0.05, higher_is_better=True)
SILENT = [0.0] * 6
BY_BLOCKS = "order statistics of the median"


def slower(*percent: float) -> list[float]:
    """The changes of blocks that are worse by these percents."""
    return [math.log1p(each / 100) for each in percent]


def about(low: float | None, high: float | None, value: float = 1.0, method: str = BY_BLOCKS) -> Estimate:
    return Estimate(value, low, high, 6, method)


# intervals of their own, and exact values


@pytest.mark.parametrize(
    ("ratio", "rule", "verdict"),
    [
        (about(1.06, 1.10, 1.08), SECONDS, "regressed"),
        (about(0.90, 0.94, 0.92), SECONDS, "improved"),
        (about(0.90, 0.94, 0.92), SPEED, "regressed"),
        (about(0.98, 1.02), SECONDS, "unchanged"),
        (about(1.02, 1.10, 1.06), SECONDS, "undecided"),
        (about(1.0, math.inf, math.inf), SECONDS, "undecided"),
        (about(0.0, 0.0, 0.0), SPEED, "regressed"),
    ],
)
def test_a_ratio_with_an_interval_is_judged_by_where_it_lies(ratio, rule, verdict):
    found = judge_interval(ratio, rule)
    assert found.verdict == verdict
    assert found.ratio is ratio
    assert 0 <= found.p_value <= 1
    assert (found.p_value <= 0.05) == (verdict in ("regressed", "improved"))


def test_the_p_value_of_an_interval_is_the_normal_one_at_the_bound():
    error, value = 0.01, 0.07
    ends = [math.exp(value + side * 1.959964 * error) for side in (-1, 0, 1)]
    found = judge_interval(about(ends[0], ends[2], ends[1]), SECONDS)
    assert found.p_value == pytest.approx(math.erfc((value - math.log(1.05)) / error / math.sqrt(2)), rel=1e-5)
    assert found.smallest == pytest.approx(1.05 * math.exp(2.8016 * error) - 1, rel=1e-4)


def test_a_ratio_without_an_interval_is_undecided():
    assert judge_interval(about(None, None, 2.0), SECONDS) == Judgement(
        "undecided", about(None, None, 2.0), pytest.approx(0.05), reason="no interval"
    )


@pytest.mark.parametrize(
    ("base", "new", "rule", "verdict"),
    [
        (100, 106, SECONDS, "regressed"),
        (100, 104, SECONDS, "unchanged"),
        (100, 94, SECONDS, "improved"),
        (100, 94, SPEED, "regressed"),
        (0, 0, SECONDS, "unchanged"),
        (0, 1, SECONDS, "regressed"),
        (0, 1, Rule(0.0, higher_is_better=False, floor=1.0), "unchanged"),
        (10, 6, Rule(0.0, higher_is_better=False, floor=4.0), "unchanged"),
        (10, 5, Rule(0.0, higher_is_better=False, floor=4.0), "improved"),
        (10, 10, Rule(0.0, higher_is_better=False), "unchanged"),
        (10, 11, Rule(0.0, higher_is_better=False), "regressed"),
        (1, math.inf, SECONDS, "regressed"),
    ],
)
def test_exact_values_differ_or_do_not(base, new, rule, verdict):
    found = judge_exact(base, new, rule)
    assert (found.verdict, found.p_value, found.ratio.method) == (verdict, 0.0, "exact values")


# many metrics at once


def regression(p_value: float, method=BY_BLOCKS) -> Judgement:
    return Judgement("regressed", about(1.1, 1.3, 1.2, method=method), 0.05, p_value=p_value)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_what_stands_is_what_benjamini_and_hochberg_reject(p_values):
    held = control_false_discoveries(dict(enumerate(map(regression, p_values))))
    adjusted = false_discovery_control(p_values, method="bh")
    for index, each in held.items():
        if abs(adjusted[index] - 0.05) > 1e-9:
            assert (each.verdict == "regressed") == (adjusted[index] < 0.05)


def test_only_changes_can_be_false_alarms_and_exact_values_are_no_tests():
    unchanged = Judgement("unchanged", about(0.99, 1.01), 0.05, p_value=1.0)
    size = judge_exact(1, 2, SECONDS)
    held = control_false_discoveries({"time": regression(0.04), "memory": unchanged, "bytes": size})
    assert (held["memory"], held["bytes"]) == (unchanged, size)
    assert held["time"].verdict == "undecided"
    assert held["time"].reason == "could be a false alarm among 2 metrics (p = 0.04)"
    assert control_false_discoveries({"time": regression(0.04), "bytes": size})["time"].verdict == "regressed"
    assert control_false_discoveries({}) == {}


@pytest.mark.parametrize("metrics", [2, 5, 20, 100])
def test_the_blocks_that_are_asked_for_suffice_where_all_are_on_one_side(metrics):
    others = {f"other {i}": Judgement("undecided", about(0.9, 1.1), 0.05) for i in range(metrics - 1)}
    first = judge(slower(*[10] * 6), [], SECONDS, 1.0)
    held = control_false_discoveries({"time": first, **others})["time"]
    enough = judge(slower(*[10] * (6 + held.more_blocks)), [], SECONDS, 1.0)
    assert held.verdict == "undecided"
    assert control_false_discoveries({"time": enough, **others})["time"].verdict == "regressed"


def test_documents_are_not_asked_for_as_blocks():
    weak = regression(0.04, method="paired, clustered by document")
    assert control_false_discoveries({"a": weak, "b": regression(0.9)})["a"].more_blocks is None


# confirmation

FIRST = judge(slower(8, 9, 10, 11, 12, 13), SILENT, SECONDS, 1.0)


@pytest.mark.parametrize(
    ("second", "agrees"),
    [
        (slower(1, 6, 9, 10, 11, 12), True),
        (slower(-1, 6, 9, 10, 11, 12), False),
        (slower(1, 2, 3, 4, 5, 6), False),
        (slower(-8, -9, -10, -11, -12, -13), False),
        (slower(9, 10, 11), False),
    ],
)
def test_fresh_blocks_confirm_with_their_median_beyond_the_bound_and_their_interval_on_its_side(second, agrees):
    assert confirms(FIRST, judge(second, [], SECONDS, 1.0), SECONDS) is agrees


def test_an_improvement_is_confirmed_by_its_mirror_image():
    first = judge(slower(*[-10] * 6), [], SPEED, 1.0)
    assert confirms(first, judge(slower(-1, -6, -9, -10, -11, -12), [], SPEED, 1.0), SPEED)
    assert not confirms(first, judge(slower(8, 9, 10, 11, 12, 13), [], SPEED, 1.0), SPEED)


def test_a_bound_that_noise_raised_holds_for_fresh_blocks_too():
    first = judge(slower(*[30] * 6), slower(0, 0, 0, 0, 0, 20), SECONDS, 1.0)
    assert not confirms(first, judge(slower(*[15] * 6), [], SECONDS, 1.0), SECONDS)
    assert confirms(first, judge(slower(*[25] * 6), [], SECONDS, 1.0), SECONDS)


@pytest.mark.parametrize("changes", [slower(*[0] * 6), slower(-20, 20, -20, 20, -20, 20)])
def test_there_is_nothing_to_confirm_without_a_change(changes):
    first = judge(changes, SILENT, SECONDS, 1.0)
    assert not confirms(first, judge(slower(*[-20] * 6), [], SECONDS, 1.0), SECONDS)
