from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from builders import make_row, single, timed
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.selection.limits import Limit, parse_limit
from harness.selection.recommend import UseCase, recommend
from harness.selection.sensitivity import Bound

SPEED, MEMORY, SIZE = "decode_tokens_per_second", "peak_memory_bytes", "weights_bytes"


def fast(*limits: str) -> UseCase:
    return UseCase("fast", ("causal",), SPEED, limits=tuple(map(parse_limit, limits)))


def sized(name: str, speed: float, size: float, memory: float = 1e8):
    return make_row(f"{name}/torch/fp32/cpu", {SPEED: timed([speed] * 6), SIZE: single(size), MEMORY: single(memory)})


ROWS = [sized("fast", 100, 30), sized("faster", 110, 40), sized("slow", 50, 20), sized("slowest", 10, 10)]


def test_an_upper_limit_is_told_from_where_on_another_is_chosen():
    (found,) = recommend(ROWS, fast("weights <= 35")).limits
    assert found.tighter == Bound(30, ROWS[2])
    assert found.looser == Bound(40, ROWS[1])


def test_a_lower_limit_is_told_from_where_on_another_is_chosen():
    rows = [sized("small", 10, 1), sized("big", 20, 2), sized("bigger", 30, 3)]
    case = UseCase("small", ("causal",), SIZE, limits=(parse_limit("decode >= 15"),))
    (found,) = recommend(rows, case).limits
    assert found.tighter == Bound(20, rows[2])
    assert found.looser == Bound(10, rows[0])


def test_a_limit_that_nobody_would_keep_leaves_nobody():
    (found,) = recommend(ROWS[:1], fast("weights <= 35")).limits
    assert (found.tighter, found.looser) == (Bound(30, None), None)


def test_the_ends_of_an_interval_are_where_a_choice_changes():
    """Memory is good to 5 %: the faster one is out as soon as it may miss the limit."""
    rows = [sized("fast", 100, 1, memory=2e8), sized("slow", 50, 1, memory=1e8)]
    (found,) = recommend(rows, fast("peak_memory <= 3e8")).limits
    assert found.tighter.bound == pytest.approx(2e8 * 1.05)
    assert found.tighter.chosen is rows[1]


def test_where_nobody_keeps_a_limit_it_is_told_from_where_on_somebody_would():
    found = recommend(ROWS, fast("weights <= 5"))
    assert (found.chosen, found.limits[0].looser, found.limits[0].tighter) == (None, Bound(10, ROWS[3]), None)


def test_other_limits_stay_when_one_is_moved():
    rows = [*ROWS, sized("excellent", 200, 45, memory=9e8)]
    sizes, _ = recommend(rows, fast("weights <= 35", "peak_memory <= 5e8")).limits
    assert sizes.looser == Bound(40, rows[1])


values = st.floats(1, 1000)
whole = st.integers(1, 1000).map(float)


@st.composite
def rows(draw):
    found = []
    for at in range(draw(st.integers(1, 8))):
        readings = [draw(values) for _ in range(6)] if draw(st.booleans()) else [draw(values)] * 6
        metrics = {SPEED: timed(readings), SIZE: single(draw(values)), MEMORY: single(draw(values))}
        found.append(make_row(f"v{at}/torch/fp32/cpu", metrics))
    return found


@pytest.mark.parametrize(
    "case",
    [UseCase("a", ("causal",), SIZE, (MEMORY,)), UseCase("b", ("causal",), SPEED, (SIZE,)),
     UseCase("c", ("causal",), weights=((SPEED, 1.0), (SIZE, 2.0)))],
    ids=["size", "speed", "weighed"],
)  # fmt: skip
@settings(max_examples=40)
@given(
    found=rows(), metric=st.sampled_from([SPEED, MEMORY]), comparison=st.sampled_from(["<=", ">="]),
    bound=st.floats(1, 1000),
)  # fmt: skip
def test_the_bound_that_is_found_is_where_the_choice_changes(case, found, metric, comparison, bound):
    def chosen(at: float):
        return recommend(found, replace(case, limits=(Limit(metric, comparison, at),))).chosen

    before = recommend(found, replace(case, limits=(Limit(metric, comparison, bound),)))
    (told,) = before.limits
    for end, is_tighter in ((told.tighter, True), (told.looser, False)):
        if end is not None:
            just_tighter = math.nextafter(end.bound, -math.inf if comparison == "<=" else math.inf)
            old, new = (end.bound, just_tighter) if is_tighter else (just_tighter, end.bound)
            assert name(chosen(old)) == name(before.chosen)
            assert name(chosen(new)) == name(end.chosen) != name(before.chosen)


def name(row):
    return None if row is None else row.variant


def weighed(*rows_of):
    return UseCase("w", ("causal",), weights=((SPEED, 1.0), (SIZE, 1.0))), list(rows_of)


def test_the_factor_of_a_weight_is_where_another_scores_best():
    """Twice the speed for three times the size: with equal weights the small one wins, and log 3 / log 2 turns it."""
    case, rows_of = weighed(sized("small", 100, 10), sized("big", 200, 30))
    found = recommend(rows_of, case)
    speed, size = found.weights
    assert found.chosen is rows_of[0]
    assert (speed.metric, speed.less) == (SPEED, None)
    assert speed.more.factor == pytest.approx(math.log(3) / math.log(2))
    assert size.less.factor == pytest.approx(math.log(2) / math.log(3))
    assert speed.more.best is size.less.best is rows_of[1]
    assert size.more is None


@settings(max_examples=60)
@given(st.lists(st.tuples(whole, whole), min_size=2, max_size=6, unique=True), st.floats(0.2, 5))
def test_beyond_the_factor_another_is_recommended(pairs, weight):
    """Sizes only, which are exact, so that nothing is tied."""
    metrics = (SIZE, "parameters")
    found = [
        make_row(f"v{at}/torch/fp32/cpu", {m: single(v) for m, v in zip(metrics, pair, strict=True)})
        for at, pair in enumerate(pairs)
    ]
    case = UseCase("w", ("causal",), weights=((SIZE, 1.0), ("parameters", weight)))
    before = recommend(found, case)
    if before.tied:
        return
    for at, told in enumerate(before.weights):
        for factor, step in ((told.less, 1 / 1.001), (told.more, 1.001)):
            if factor is None or abs(math.log(factor.factor)) < 0.01:
                continue

            def chosen(by: float, at: int = at):
                weights = [(m, w * by if number == at else w) for number, (m, w) in enumerate(case.weights)]
                return recommend(found, replace(case, weights=tuple(weights))).chosen

            assert chosen(factor.factor / step) is before.chosen
            assert chosen(factor.factor * step) is not before.chosen


def test_a_use_case_with_an_objective_has_no_weights_to_move():
    assert recommend(ROWS, fast()).weights == ()


def test_by_how_much_the_best_rival_would_have_to_be_better_is_its_comparison():
    rival = recommend(ROWS, fast("weights <= 35")).worse[0]
    assert rival.row is ROWS[2]
    assert rival.reason.comparison.ratio.value == pytest.approx(2.0)


def test_sensitivity_of_five_hundred_variants_is_found_at_once():
    import time

    rng = np.random.default_rng(0)
    found = [sized(f"v{at}", *each) for at, each in enumerate(rng.uniform(1, 100, size=(500, 3)).tolist())]
    began = time.perf_counter()
    told = recommend(found, fast("weights <= 50", "peak_memory <= 50")).limits
    assert time.perf_counter() - began < 2
    assert all(each.tighter for each in told)
