from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.intervals import clustered_ratio, median_estimate
from harness.stats.paired import paired_ratio_difference, paired_time_ratio
from harness.stats.quantiles import t95

times = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40)
documents = st.lists(
    st.tuples(st.floats(0, 1e4), st.integers(1, 2000), st.floats(0, 1e4), st.integers(1, 2000)), min_size=2, max_size=30
)


@given(times)
def test_equal_times_have_the_ratio_one(readings):
    estimate = paired_time_ratio(readings, readings)
    assert estimate.value == 1.0
    assert (estimate.low, estimate.high) == ((1.0, 1.0) if len(readings) >= 6 else (None, None))


@given(times, st.floats(1e-3, 1e3))
def test_times_that_all_grow_by_a_factor_have_it_as_ratio_without_doubt(readings, factor):
    estimate = paired_time_ratio(readings, [factor * each for each in readings])
    assert estimate.value == pytest.approx(factor)
    if len(readings) >= 6:
        assert (estimate.low, estimate.high) == (pytest.approx(factor), pytest.approx(factor))


@given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)), min_size=6, max_size=30))
def test_the_ratio_the_other_way_round_is_the_reciprocal(pairs):
    base, new = zip(*pairs, strict=True)
    there, back = paired_time_ratio(base, new), paired_time_ratio(new, base)
    assert back.value == pytest.approx(1 / there.value)
    assert (back.low, back.high) == (pytest.approx(1 / there.high), pytest.approx(1 / there.low))


def test_fewer_than_six_rounds_give_a_ratio_without_interval():
    estimate = paired_time_ratio([1.0] * 5, [2.0] * 5)
    assert estimate.value == pytest.approx(2.0)
    assert (estimate.low, estimate.high) == (None, None)


def test_noise_that_both_share_in_a_round_cancels():
    rng = np.random.default_rng(1)
    shared = rng.lognormal(sigma=0.5, size=20)
    base, new = shared, 1.1 * shared * rng.lognormal(sigma=0.01, size=20)
    paired = paired_time_ratio(base.tolist(), new.tolist())
    alone = [median_estimate(each.tolist()) for each in (base, new)]
    assert 1.0 < paired.low < 1.1 < paired.high
    assert paired.high - paired.low < (alone[1].high / alone[0].low - alone[1].low / alone[0].high) / 10


@pytest.mark.parametrize(
    ("base", "new"), [([1.0, 2.0], [1.0]), ([1.0], [1.0, 2.0]), ([], []), ([1.0, 0.0], [1.0, 1.0]), ([1.0], [-1.0])]
)
def test_unequal_counts_no_readings_and_readings_that_are_not_positive_have_no_ratio(base, new):
    with pytest.raises(ValueError, match=r"zip\(\)|no values|not positive"):
        paired_time_ratio(base, new)


@given(documents)
def test_equal_scores_have_the_difference_zero(rows):
    totals, weights, _, _ = zip(*rows, strict=True)
    estimate = paired_ratio_difference(totals, weights, totals, weights)
    assert (estimate.low, estimate.value, estimate.high) == (0.0, 0.0, 0.0)
    assert estimate.n == len(rows)


@given(documents)
def test_the_difference_follows_the_formula(rows):
    """How each document, left out of both, moves the difference; t for the fewer effective documents of the two."""
    table, count = np.array(rows), len(rows)

    def difference(rows: np.ndarray) -> float:
        bt, bw, nt, nw = rows.sum(axis=0)
        return nt / nw - bt / bw

    moves = [difference(np.delete(table, row, axis=0)) - difference(table) for row in range(count)]
    effective = min(weights.sum() ** 2 / (weights**2).sum() for weights in (table[:, 1], table[:, 3]))
    margin = t95(max(1.0, effective - 1)) * np.sqrt(np.square(moves).sum())
    estimate = paired_ratio_difference(*table.T.tolist())
    near = {"rel": 1e-6, "abs": 1e-6}
    assert estimate.value == pytest.approx(difference(table), **near)
    assert estimate.value - estimate.low == pytest.approx(margin, **near)
    assert estimate.high - estimate.value == pytest.approx(margin, **near)


@given(documents)
def test_the_difference_the_other_way_round_is_its_negative(rows):
    bt, bw, nt, nw = zip(*rows, strict=True)
    there, back = paired_ratio_difference(bt, bw, nt, nw), paired_ratio_difference(nt, nw, bt, bw)
    assert back.value == pytest.approx(-there.value)
    assert (back.low, back.high) == (pytest.approx(-there.high), pytest.approx(-there.low))


def test_a_loss_that_every_token_gains_is_the_difference_without_doubt():
    estimate = paired_ratio_difference([200.0, 900.0, 450.0], [100, 300, 150], [250.0, 1050.0, 525.0], [100, 300, 150])
    assert estimate.value == pytest.approx(0.5)
    assert (estimate.low, estimate.high) == (pytest.approx(0.5), pytest.approx(0.5))


@given(documents, st.floats(0.1, 10))
def test_scores_in_another_unit_scale_the_difference_and_its_interval(rows, factor):
    bt, bw, nt, nw = zip(*rows, strict=True)
    plain = paired_ratio_difference(bt, bw, nt, nw)
    scaled = paired_ratio_difference([factor * t for t in bt], bw, [factor * t for t in nt], nw)
    for end in ("value", "low", "high"):
        assert getattr(scaled, end) == pytest.approx(factor * getattr(plain, end), rel=1e-6, abs=1e-6)


def _scores(rng: np.random.Generator, count: int) -> tuple[list[float], list[float], list[float]]:
    """Totals of two models, the second 0.1 nats a token worse, on documents that both find equally hard."""
    tokens = rng.integers(50, 500, size=count)
    difficulty = rng.normal(4.0, 1.0, size=count)
    base, new = (tokens * (difficulty + rng.normal(gain, 0.1, size=count)) for gain in (0.0, 0.1))
    return base.tolist(), new.tolist(), tokens.tolist()


def test_what_both_models_find_hard_cancels():
    base, new, tokens = _scores(np.random.default_rng(2), 200)
    paired = paired_ratio_difference(base, tokens, new, tokens)
    alone = [clustered_ratio(totals, tokens) for totals in (base, new)]
    assert alone[0].high > alone[1].low, "unpaired intervals do not tell the two apart"
    assert 0.0 < paired.low < paired.high
    assert paired.high - paired.low < (alone[0].high - alone[0].low) / 3


def test_one_document_gives_a_difference_without_interval():
    estimate = paired_ratio_difference([20.0], [10], [30.0], [10])
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (1.0, None, None, 1)


def test_a_document_that_one_of_the_two_did_not_score_does_not_count():
    estimate = paired_ratio_difference([20.0, 0.0], [10, 0], [30.0, 30.0], [10, 10])
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (1.0, None, None, 1)


def test_different_numbers_of_documents_have_no_difference():
    with pytest.raises(ValueError, match="zip"):
        paired_ratio_difference([1.0, 2.0], [1, 1], [1.0], [1])


@pytest.mark.parametrize(("base_weights", "new_weights"), [([0], [1]), ([1], [0]), ([], [])])
def test_models_that_scored_nothing_have_no_difference(base_weights, new_weights):
    with pytest.raises(ValueError, match="nothing was scored"):
        paired_ratio_difference([0.0] * len(base_weights), base_weights, [0.0] * len(new_weights), new_weights)
