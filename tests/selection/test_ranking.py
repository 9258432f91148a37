"""Ranks of many, held against what ``compare`` says of every pair."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from builders import answered, make_row, scored, single, timed
from hypothesis import given
from hypothesis import strategies as st

from harness.records.rows import Row
from harness.records.values import Value
from harness.selection import ranking
from harness.selection.comparison import compare
from harness.selection.ranking import indistinct, ranks

BITS, CLOZE, PERPLEXITY = "continuation_bits_per_byte", "cloze_accuracy", "perplexity"
MEASURES = (BITS, CLOZE, PERPLEXITY, "bits_per_byte", "word_perplexity", "cloze_bits_per_char")


def variant(number: int, metric: str, value: Value, **other) -> Row:
    return make_row(f"c{number}/torch/fp32/cpu", {metric: value}, **other)


def by_definition(rows: Sequence[Row], metric: str) -> dict[str, int]:
    """One more than the number of others that ``compare`` calls better."""
    found = {}
    for row in rows:
        against = [compare(row, other, metric) for other in rows if other is not row]
        found[row.variant] = 1 + sum(each is not None and each.better is True for each in against)
    return found


@st.composite
def measured(draw: st.DrawFn) -> tuple[str, list[Row]]:
    """Variants of one measure, some of them the same, or nearly, as one before, on documents of unequal weight; whole
    sums, so that both ways round alike."""
    metric = draw(st.sampled_from(MEASURES))
    documents = draw(st.integers(1, 8))
    accuracy = "accuracy" in metric
    sums = st.lists(st.integers(0 if accuracy else 1, 10 if accuracy else 400), min_size=documents, max_size=documents)
    drawn: list[list[int]] = []
    for kind in draw(st.lists(st.sampled_from(["new", "same", "shifted", "near", "zero"]), min_size=1, max_size=7)):
        if kind == "new" or not drawn:
            drawn.append(draw(sums))
        elif kind == "zero" and accuracy:
            drawn.append([0] * documents)
        else:
            before = draw(st.sampled_from(drawn))
            moves = {"same": [0], "shifted": [1], "near": [0, 1]}.get(kind, [0])
            drawn.append([min(each + moves[at % len(moves)], 10) if accuracy else each + moves[at % len(moves)]
                          for at, each in enumerate(before)])  # fmt: skip
    weights = st.lists(st.integers(10, 60), min_size=documents, max_size=documents)
    shared = draw(weights)
    rows = []
    for number, totals in enumerate(drawn):
        first = draw(st.sampled_from([0] * 9 + [1]))
        tokenizer = draw(st.sampled_from(["tokenizer-1"] * 9 + ["tokenizer-2"]))
        if metric in (BITS, CLOZE, "cloze_bits_per_char"):
            over = draw(st.sampled_from([shared] * 4 + [draw(weights)]))
            rows.append(variant(number, metric, answered(metric, totals, over), tokenizer=tokenizer))
        else:
            value = scored(metric, totals, first_document=first)
            rows.append(variant(number, metric, value, tokenizer=tokenizer))
    return metric, rows


@given(measured())
def test_ranks_are_those_of_comparing_every_pair(drawn):
    metric, rows = drawn
    assert ranks(rows, metric) == by_definition(rows, metric)


@given(measured())
def test_ranks_do_not_depend_on_the_order_of_the_rows(drawn):
    metric, rows = drawn
    assert ranks(rows[::-1], metric) == ranks(rows, metric)


def several(metric: str, *means: float) -> list[Row]:
    """Variants that all find the same documents hard."""
    shifts = (1.0, -2.0, 3.0, 0.0, -1.0, 2.0, -3.0, 0.0)
    return [variant(at, metric, answered(metric, [m + s / 4 for s in shifts])) for at, m in enumerate(means)]


def places(rows: Sequence[Row], metric: str) -> list[int]:
    return list(ranks(rows, metric).values())


@pytest.mark.parametrize(("metric", "expected"), [(BITS, [2, 1, 3]), (CLOZE, [2, 3, 1])])
def test_the_direction_of_the_metric_decides(metric, expected):
    assert places(several(metric, 5.0, 4.0, 6.0), metric) == expected


def test_identical_rows_share_a_place():
    assert places(several(BITS, 5.0, 5.0, 4.0, 5.0), BITS) == [2, 2, 1, 2]


def test_perplexities_of_other_tokenizers_are_not_counted():
    rows = [
        variant(at, PERPLEXITY, scored(PERPLEXITY, [mean, mean + 20.0, mean + 7.0]), tokenizer=name)
        for at, (mean, name) in enumerate([(200.0, "x"), (250.0, "x"), (100.0, "y")])
    ]
    assert places(rows, PERPLEXITY) == [1, 2, 1]


def test_rows_without_the_metric_have_no_rank():
    rows = [*several(BITS, 5.0, 4.0), variant(9, CLOZE, answered(CLOZE, [1.0, 2.0]))]
    assert list(ranks(rows, BITS)) == ["c0/torch/fp32/cpu", "c1/torch/fp32/cpu"]


def test_nobody_has_no_ranks():
    assert ranks([], BITS) == {}
    assert ranks(several(CLOZE, 5.0), BITS) == {}


def test_what_is_paired_by_round_or_exact_is_ranked_as_well():
    speed, size = "decode_tokens_per_second", "weights_bytes"
    jitter = (1.0, 1.02, 0.98, 1.01, 0.99, 1.03)
    timings = [variant(at, speed, timed([each * rate for each in jitter])) for at, rate in enumerate((50.0, 90.0))]
    assert places(timings, speed) == [2, 1]
    assert places([variant(at, size, single(each)) for at, each in enumerate((3.0, 1.0, 1.0))], size) == [3, 1, 1]


def test_five_hundred_rows_of_the_same_documents_are_not_compared_pair_by_pair(monkeypatch):
    def never(*pair: object) -> None:
        raise AssertionError("compared on its own")

    monkeypatch.setattr(ranking, "compare", never)
    rows = several(BITS, *(5 + 0.01 * number for number in range(500)))
    assert places(rows, BITS) == list(range(1, 501))


def told_apart(row: Row, best: Row, metric: str) -> bool:
    comparison = None if row is best else compare(row, best, metric)
    settled = comparison is not None and comparison.better is not None
    return settled and row.value(metric) != best.value(metric)


@given(measured())
def test_who_cannot_be_told_from_the_best_are_those_of_comparing_each_with_it(drawn):
    metric, rows = drawn
    best = min(rows, key=lambda row: row.value(metric))
    assert indistinct(rows, best, metric) == [row for row in rows if not told_apart(row, best, metric)]


@given(
    st.integers(1, 26).flatmap(
        lambda rounds: st.lists(st.lists(st.floats(1.0, 1.2), min_size=rounds, max_size=rounds), min_size=1, max_size=6)
    )
)
def test_of_timings_too(readings):
    speed = "decode_tokens_per_second"
    rows = [variant(at, speed, timed(each)) for at, each in enumerate(readings)]
    assert indistinct(rows, rows[0], speed) == [row for row in rows if not told_apart(row, rows[0], speed)]
