from __future__ import annotations

import math

import numpy as np
import pytest
from builders import answered, make_row, scored, single, timed
from scipy import stats

from harness.records.metrics import ACROSS_FAMILIES
from harness.selection.comparison import SUMS
from harness.selection.limits import parse_limit
from harness.selection.recommend import UseCase, recommend
from harness.selection.resampling import metric_of, resample

SPEED, QUALITY, MEMORY, SIZE = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes", "weights_bytes"
NATS = [300.0, 340.0, 280.0, 310.0, 330.0, 290.0, 305.0, 325.0]


def made(name: str, **metrics):
    return make_row(f"{name}/torch/fp32/cpu", metrics)


def case(objective: str = SPEED, **other) -> UseCase:
    return UseCase("x", ("causal",), objective, **other)


def share(found, name: str) -> float:
    return found.shares.get(f"{name}/torch/fp32/cpu", 0.0)


def test_who_is_better_in_every_round_always_wins():
    rows = [
        made("a", **{SPEED: timed([10.0, 20, 30, 40, 50, 60])}),
        made("b", **{SPEED: timed([11.0, 21, 31, 41, 51, 61])}),
    ]
    found = resample(rows, case())
    assert found.shares == {"b/torch/fp32/cpu": 1.0}
    assert (found.replicates, found.drawn, found.fixed) == (1000, {"rounds": 6}, ())


def test_the_share_is_the_chance_that_more_of_the_drawn_documents_favour_it():
    """a is better by one nat in 5 documents of 9, worse by one in 4: it wins where most of 9 draws are of the 5, whose
    number is binomial."""
    base = [300.0] * 9
    other = [301.0] * 5 + [299.0] * 4
    rows = [made("a", **{QUALITY: scored(QUALITY, base)}), made("b", **{QUALITY: scored(QUALITY, other)})]
    found = resample(rows, case(QUALITY), replicates=20_000)
    assert share(found, "a") == pytest.approx(stats.binom.sf(4, 9, 5 / 9), abs=0.015)
    assert share(found, "a") + share(found, "b") == pytest.approx(1)


def test_the_share_of_a_median_is_known_too():
    """a has 10 in every round, b 11 in 4 of 7 and 9 in 3: the median of b is 11 where 4 or more draws are of the 4."""
    rows = [made("a", **{SPEED: timed([10.0] * 7)}), made("b", **{SPEED: timed([11.0] * 4 + [9.0] * 3)})]
    found = resample(rows, case(), replicates=20_000)
    assert share(found, "b") == pytest.approx(stats.binom.sf(3, 7, 4 / 7), abs=0.015)


def test_the_same_documents_are_drawn_for_all():
    """Documents differ a lot, the two in each document by a nat: without pairing either would win."""
    nats = [100.0, 900.0, 200.0, 700.0, 400.0, 300.0]
    rows = [
        made("a", **{QUALITY: scored(QUALITY, nats)}),
        made("b", **{QUALITY: scored(QUALITY, [n + 1 for n in nats])}),
    ]
    assert resample(rows, case(QUALITY)).shares == {"a/torch/fp32/cpu": 1.0}


def test_a_limit_is_kept_or_missed_in_each_replicate():
    """The faster one keeps the limit where its median is that of the good rounds."""
    rows = [made("slow", **{SPEED: timed([5.0] * 7), "load_seconds": timed([1.0] * 7)}),
            made("fast", **{SPEED: timed([9.0] * 7), "load_seconds": timed([1.0] * 4 + [3.0] * 3)})]  # fmt: skip
    limit = parse_limit("load <= 2")
    found = resample(rows, case(), (limit,), replicates=20_000)
    assert share(found, "fast") == pytest.approx(stats.binom.sf(3, 7, 4 / 7), abs=0.015)
    assert share(found, "slow") == pytest.approx(1 - share(found, "fast"))


def test_replicates_in_which_nobody_keeps_the_limits_are_nobodys():
    rows = [made("a", **{SPEED: timed([10.0] * 4 + [5.0] * 3)})]
    assert 0 < share(resample(rows, case(), (parse_limit("decode >= 7"),)), "a") < 1


def test_what_was_read_once_does_not_vary_and_is_told():
    rows = [
        made("a", **{SPEED: timed([10.0] * 6), MEMORY: single(1e8)}),
        made("b", **{SPEED: timed([11.0] * 6), MEMORY: single(9e8)}),
    ]
    found = resample(rows, case(), (parse_limit("peak_memory <= 5e8"),))
    assert found.shares == {"a/torch/fp32/cpu": 1.0}
    assert found.fixed == (MEMORY,)


def test_where_nothing_varies_there_are_no_shares():
    found = resample([made("a", **{SIZE: single(1.0)}), made("b", **{SIZE: single(2.0)})], case(SIZE))
    assert (found.shares, found.replicates, found.fixed) == ({}, 0, (SIZE,))


@pytest.mark.parametrize(
    ("metric", "value", "few"),
    [(SPEED, timed([10.0] * 5), ("rounds", 5)), (QUALITY, scored(QUALITY, NATS[:3]), ("documents", 3))],
)
def test_too_few_rounds_or_documents_tell_nothing(metric, value, few):
    found = resample([made("a", **{metric: value}), made("b", **{metric: value})], case(metric))
    assert (found.shares, found.few) == ({}, few)


def test_only_rounds_that_all_have_are_drawn():
    rows = [made("a", **{SPEED: timed([10.0] * 8)}), made("b", **{SPEED: timed([11.0] * 7, first_round=2)})]
    assert resample(rows, case()).drawn == {"rounds": 6}


def test_weights_are_resampled_by_documents_and_rounds():
    rows = [made(name, **{QUALITY: scored(QUALITY, [n * f for n in NATS]), SPEED: timed([s] * 6)})
            for name, f, s in (("good", 1.0, 100.0), ("fast", 1.1, 115.0))]  # fmt: skip
    weighed = UseCase("w", ("causal",), weights=((QUALITY, 1.0), (SPEED, 1.0)))
    found = resample(rows, weighed)
    assert found.shares == {"fast/torch/fp32/cpu": 1.0}
    assert found.drawn == {"documents": 8, "rounds": 6}


def test_the_seed_is_fixed_and_another_generator_may_be_passed_in():
    rows = [made("a", **{QUALITY: scored(QUALITY, NATS)}), made("b", **{QUALITY: scored(QUALITY, NATS[::-1])})]
    assert resample(rows, case(QUALITY)) == resample(rows, case(QUALITY))
    other = resample(rows, case(QUALITY), generator=np.random.default_rng(5))
    assert other.shares != resample(rows, case(QUALITY)).shares


@pytest.mark.parametrize(
    "metric",
    [
        name
        for name in SUMS
        if "accuracy" not in name and "per_char" not in name and not name.startswith("continuation")
    ],
)
def test_a_metric_of_a_text_is_computed_as_rows_have_it(metric):
    value = scored(metric, NATS)
    total, weight = (math.fsum(each[key] for each in value.documents.values()) for key in SUMS[metric])
    assert metric_of(metric, np.array([total / weight]))[0] == pytest.approx(value.estimate.value)


@pytest.mark.parametrize("metric", ACROSS_FAMILIES)
def test_a_metric_of_items_is_computed_as_rows_have_it(metric):
    value = answered(metric, [3.0, 4.0, 2.0, 3.0, 5.0, 1.0])
    total, weight = (math.fsum(each[key] for each in value.documents.values()) for key in SUMS[metric])
    assert metric_of(metric, np.array([total / weight]))[0] == pytest.approx(value.estimate.value)


def test_a_recommendation_tells_the_share_of_the_recommended():
    rows = [
        made("a", **{SPEED: timed([10.0] * 6)}),
        made("b", **{SPEED: timed([10.0] * 6)}),
        made("c", **{SPEED: timed([5.0] * 6)}),
    ]
    found = recommend(rows, case())
    assert found.resampling.share(found.recommended) == 1.0
