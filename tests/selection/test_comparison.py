from __future__ import annotations

import math

import numpy as np
import pytest
from builders import answered, make_row, scored, single, timed
from hypothesis import given
from hypothesis import strategies as st

from harness.records.metrics import ACROSS_FAMILIES, BOTH_SIDES
from harness.selection.comparison import compare

SPEED, QUALITY, SIZE = "decode_tokens_per_second", "bits_per_byte", "weights_bytes"
PERPLEXITIES = ["perplexity", "masked_perplexity", "span_perplexity", "pseudo_perplexity", "pseudo_perplexity_by_token",
                "infilling_perplexity", "batched_perplexity"]  # fmt: skip
"""Perplexities a token."""
OF_ITEMS = [*ACROSS_FAMILIES, *BOTH_SIDES]
ACCURACIES = [metric for metric in OF_ITEMS if "accuracy" in metric]
BITS = [metric for metric in OF_ITEMS if "bits" in metric]
NATS = [300.0, 340.0, 280.0, 310.0, 330.0, 290.0, 305.0, 325.0]
RIGHT = [3.0, 4.0, 2.0, 3.0, 5.0, 1.0, 4.0, 2.0]
NONE_RIGHT = [0.0] * len(RIGHT)


def rows(metric, base, new, **other):
    return make_row(metrics={metric: base}), make_row(metrics={metric: new}, **other)


def test_a_metric_that_one_lacks_is_not_compared():
    with_it, without = make_row(metrics={SIZE: single(5.0)}), make_row()
    assert compare(with_it, without, SIZE) is None
    assert compare(without, with_it, SIZE) is None


@pytest.mark.parametrize("metric", PERPLEXITIES)
def test_a_perplexity_is_not_compared_between_tokenizers(metric):
    base, new = rows(metric, scored(metric, NATS), scored(metric, NATS), tokenizer="tokenizer-2")
    assert compare(base, new, metric) is None


@pytest.mark.parametrize("metric", [QUALITY, "word_perplexity", "byte_perplexity"])
def test_what_is_counted_by_bytes_or_words_is_compared_between_tokenizers(metric):
    base, new = rows(metric, scored(metric, NATS), scored(metric, NATS), tokenizer="tokenizer-2")
    assert compare(base, new, metric).ratio.value == 1.0


@pytest.mark.parametrize("metric", OF_ITEMS)
def test_measures_on_the_same_items_are_compared_between_families_and_tokenizers(metric):
    base, new = rows(metric, answered(metric, RIGHT), answered(metric, RIGHT), family="masked", tokenizer="tokenizer-2")
    assert compare(base, new, metric).ratio.value == 1.0


@pytest.mark.parametrize("metric", PERPLEXITIES)
def test_perplexities_are_paired_by_document(metric):
    """Every token gains 0.1 nats, so the ratio is exp(0.1) in each document and there is no doubt about it."""
    base, new = rows(metric, scored(metric, NATS), scored(metric, [nats + 10.0 for nats in NATS]))
    found = compare(base, new, metric)
    for end in (found.ratio.value, found.ratio.low, found.ratio.high):
        assert end == pytest.approx(math.exp(0.1))
    assert found.better is False


@pytest.mark.parametrize(("metric", "gained"), [("word_perplexity", 10 / 50), ("byte_perplexity", 10 / 400)])
def test_perplexities_of_words_and_bytes_are_paired_by_document(metric, gained):
    """Ten nats more in each document, of 50 words or 400 bytes."""
    base, new = rows(metric, scored(metric, NATS), scored(metric, [nats + 10.0 for nats in NATS]))
    found = compare(base, new, metric)
    for end in (found.ratio.value, found.ratio.low, found.ratio.high):
        assert end == pytest.approx(math.exp(gained))
    assert found.better is False


def test_only_documents_that_both_scored_are_compared():
    base = scored(QUALITY, [999.0, *NATS], first_document=0)
    new = scored(QUALITY, [*NATS, 1.0], first_document=1)
    found = compare(*rows(QUALITY, base, new), QUALITY)
    assert (found.ratio.value, found.ratio.n, found.better) == (1.0, len(NATS), None)


def test_scores_of_different_documents_are_not_compared():
    base, new = scored(QUALITY, NATS), scored(QUALITY, NATS, first_document=100)
    assert compare(*rows(QUALITY, base, new), QUALITY) is None


def test_one_document_settles_nothing():
    found = compare(*rows(QUALITY, scored(QUALITY, [300.0]), scored(QUALITY, [150.0])), QUALITY)
    assert found.ratio.value == pytest.approx(0.5)
    assert (found.ratio.low, found.ratio.high, found.better) == (None, None, None)


scores = st.lists(st.tuples(st.floats(100, 1000), st.floats(100, 1000)), min_size=3, max_size=12)


@pytest.mark.parametrize("metric", [*PERPLEXITIES, QUALITY, "word_perplexity", "byte_perplexity"])
@given(pairs=scores)
def test_quality_compared_the_other_way_round_is_the_reciprocal(metric, pairs):
    base, new = rows(metric, *(scored(metric, nats) for nats in zip(*pairs, strict=True)))
    there, back = compare(base, new, metric).ratio, compare(new, base, metric).ratio
    assert back.value == pytest.approx(1 / there.value)
    assert (back.low, back.high) == (pytest.approx(1 / there.high), pytest.approx(1 / there.low))


def test_twice_the_bits_in_every_document_is_the_ratio_two_without_doubt():
    found = compare(*rows(QUALITY, scored(QUALITY, NATS), scored(QUALITY, [2 * each for each in NATS])), QUALITY)
    assert found.ratio.value == pytest.approx(2.0)
    assert (found.ratio.low, found.ratio.high) == (pytest.approx(2.0), pytest.approx(2.0))


@pytest.mark.parametrize("factor", [1.0, 1.5, 0.7])
def test_the_interval_of_bits_per_byte_covers_the_ratio_in_95_of_100_corpora(factor):
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(400):
        base, new = (100 * (mean + rng.normal(0, 0.5, size=60)) for mean in (3.0, 3.0 * factor))
        found = compare(*rows(QUALITY, scored(QUALITY, base.tolist()), scored(QUALITY, new.tolist())), QUALITY)
        covered += found.ratio.low <= factor <= found.ratio.high
    assert covered / 400 == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("metric", BITS)
def test_twice_the_bits_of_items_in_every_document_is_the_ratio_two_without_doubt(metric):
    base, new = rows(metric, answered(metric, NATS), answered(metric, [2 * each for each in NATS]))
    found = compare(base, new, metric)
    for end in (found.ratio.value, found.ratio.low, found.ratio.high):
        assert end == pytest.approx(2.0)
    assert found.better is False


@pytest.mark.parametrize("metric", ACCURACIES)
def test_an_accuracy_that_is_higher_in_every_document_is_better(metric):
    """Documents differ more than the two in any of them: 3 of 10 are right on average, then 5."""
    base, new = rows(metric, answered(metric, RIGHT), answered(metric, [each + 2 for each in RIGHT]))
    found = compare(base, new, metric)
    assert found.ratio.value == pytest.approx(5 / 3)
    assert found.ratio.low > 1
    assert found.better is True
    assert compare(new, base, metric).better is False


@pytest.mark.parametrize("metric", ACCURACIES)
def test_an_accuracy_that_is_higher_here_and_lower_there_settles_nothing(metric):
    base, new = rows(metric, answered(metric, RIGHT), answered(metric, [x + (-1) ** i for i, x in enumerate(RIGHT)]))
    found = compare(base, new, metric)
    assert found.ratio.low < 1 < found.ratio.high
    assert found.better is None


def test_accuracies_are_compared_over_all_items_not_over_the_means_of_documents():
    """30 of 100 and 1 of 10 are right, then 20 of 100 and 6 of 10."""
    metric, items = "cloze_accuracy", [100.0, 10.0]
    base, new = rows(metric, answered(metric, [30.0, 1.0], items), answered(metric, [20.0, 6.0], items))
    assert compare(base, new, metric).ratio.value == pytest.approx(26 / 31)


@pytest.mark.parametrize("metric", ACCURACIES)
def test_two_accuracies_of_nothing_are_equal(metric):
    found = compare(*rows(metric, answered(metric, NONE_RIGHT), answered(metric, NONE_RIGHT)), metric)
    assert (found.ratio.value, found.ratio.low, found.ratio.high) == (1.0, 1.0, 1.0)
    assert found.better is None


def test_an_accuracy_of_something_in_every_document_is_better_than_one_of_nothing():
    metric = "cloze_accuracy"
    base, new = rows(metric, answered(metric, NONE_RIGHT), answered(metric, RIGHT))
    there, back = compare(base, new, metric), compare(new, base, metric)
    assert (there.ratio.value, there.better) == (math.inf, True)
    assert (back.ratio.value, back.better) == (0.0, False)


def test_one_right_answer_in_one_document_is_not_told_from_none():
    metric = "cloze_accuracy"
    base, new = rows(metric, answered(metric, NONE_RIGHT), answered(metric, [1.0, *NONE_RIGHT[1:]]))
    there, back = compare(base, new, metric), compare(new, base, metric)
    assert (there.ratio.value, there.ratio.low, there.ratio.high) == (math.inf, 0.0, math.inf)
    assert (back.ratio.value, back.ratio.low, back.ratio.high) == (0.0, 0.0, math.inf)
    assert (there.better, back.better) == (None, None)


@pytest.mark.parametrize(("before", "after", "ratio"), [(0.0, 5.0, math.inf), (5.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
def test_one_document_settles_nothing_about_an_accuracy_of_nothing(before, after, ratio):
    metric = "cloze_accuracy"
    found = compare(*rows(metric, answered(metric, [before]), answered(metric, [after])), metric)
    assert (found.ratio.value, found.ratio.low, found.ratio.high, found.better) == (ratio, None, None, None)


answers = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=2, max_size=12)


@pytest.mark.parametrize("metric", OF_ITEMS)
@given(pairs=answers)
def test_measures_of_items_compared_the_other_way_round_say_the_opposite(metric, pairs):
    base, new = rows(metric, *(answered(metric, [float(x) for x in each]) for each in zip(*pairs, strict=True)))
    there, back = compare(base, new, metric), compare(new, base, metric)
    assert back.better is (None if there.better is None else not there.better)
    if 0 < there.ratio.value < math.inf:
        assert back.ratio.value == pytest.approx(1 / there.ratio.value)
        assert (back.ratio.low, back.ratio.high) == (
            pytest.approx(1 / there.ratio.high),
            pytest.approx(1 / there.ratio.low),
        )


def test_timings_are_paired_by_round():
    """Rounds differ a lot, the two in one round hardly: only the rounds that both have are compared."""
    base = timed([10.0, 90.0, 20.0, 70.0, 40.0, 30.0, 55.0, 81.0], first_round=0)
    new = timed([2 * 20.0, 2 * 70.0, 2 * 40.0, 2 * 30.0, 2 * 55.0, 2 * 81.0, 5.0], first_round=2)
    found = compare(*rows(SPEED, base, new), SPEED)
    assert found.ratio.n == 6
    for end in (found.ratio.value, found.ratio.low, found.ratio.high):
        assert end == pytest.approx(2.0)
    assert found.better is True


def test_fewer_than_six_common_rounds_settle_nothing():
    found = compare(*rows(SPEED, timed([10.0] * 5), timed([99.0] * 5)), SPEED)
    assert found.ratio.value == pytest.approx(9.9)
    assert (found.ratio.low, found.better) == (None, None)


def test_an_interval_that_holds_one_settles_nothing():
    found = compare(*rows(SPEED, timed([10.0] * 6), timed([9.0, 11.0, 9.0, 11.0, 9.0, 11.0])), SPEED)
    assert found.ratio.low < 1 < found.ratio.high
    assert found.better is None


@pytest.mark.parametrize("first_round", [6, None])
def test_timings_without_a_common_round_are_not_compared(first_round):
    other = single(10.0) if first_round is None else timed([10.0] * 6, first_round)
    assert compare(*rows(SPEED, timed([10.0] * 6), other), SPEED) is None
    assert compare(*rows(SPEED, other, timed([10.0] * 6)), SPEED) is None


@pytest.mark.parametrize(("new", "better"), [(50.0, True), (99.9, True), (100.0, None), (100.1, False)])
def test_single_values_stand_for_themselves_and_any_difference_counts(new, better):
    found = compare(*rows(SIZE, single(100.0), single(new)), SIZE)
    assert found.ratio.value == found.ratio.low == found.ratio.high == new / 100.0
    assert found.better is better


def test_a_base_of_zero_has_no_ratio():
    assert compare(*rows(SIZE, single(0.0), single(5.0)), SIZE) is None


@pytest.mark.parametrize(("metric", "more_is_better"), [(SPEED, True), ("load_seconds", False)])
def test_the_direction_of_a_metric_decides_what_is_better(metric, more_is_better):
    found = compare(*rows(metric, timed([1.0] * 6), timed([2.0] * 6)), metric)
    assert found.better is more_is_better
