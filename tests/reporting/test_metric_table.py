"""Tables of metrics: what stands in a header, how values are rounded, what is bold, and why a value is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders import answered, make_row, plainly, scored, single, timed

from harness.records.rows import Row
from harness.records.values import Value
from harness.reporting.metric_table import metric_table
from harness.reporting.table import Cell, Table
from harness.stats.intervals import Estimate

DECODE, ENCODE, SIZE, MEMORY = ("decode_tokens_per_second", "encode_tokens_per_second", "weights_bytes",
                                "peak_memory_bytes")  # fmt: skip
PERPLEXITY, CLOZE = "perplexity", "cloze_accuracy"
MIB = 2.0**20
JITTER = (1.0, 1.02, 0.98, 1.01, 0.99, 1.03)
NATS = (230.0, 250.0, 240.0, 235.0, 245.0, 238.0)
RIGHT = (4.0, 2.0, 5.0, 3.0, 4.0, 6.0)


def between(value: float, low: float, high: float) -> Value:
    """A value with its interval and nothing that it could be paired by."""
    return Value(Estimate(value, low, high, 9, "told"))


def rows_of(metric: str, values: Sequence[float]) -> list[Row]:
    """Variants ``a``, ``b`` and ``c``, each read once."""
    return [make_row(f"{'abc'[at]}/x/fp32/cpu", {metric: single(value)}) for at, value in enumerate(values)]


def table_of(rows: Sequence[Row], *metrics: str, **how) -> Table:
    table = metric_table(rows, metrics, **how)
    assert table is not None
    return table


def headers(table: Table) -> list[str]:
    return [str(header) for header in table.headers]


def column(table: Table, place: int = 1) -> list[str]:
    """The texts of a column."""
    return [str(line[place]) for line in plainly(table).lines]


def bold(table: Table, place: int = 1) -> list[str]:
    """The candidates whose cell is the best of a column or tied with it."""
    return [str(line[0]).strip("`").split("/")[0] for line in table.lines if str(line[place]).startswith("**")]


def test_units_stand_in_the_headers_with_an_arrow_to_where_it_is_better():
    metrics = {
        DECODE: single(50.0),
        PERPLEXITY: single(30.0),
        CLOZE: single(0.4),
        "parameters": single(3e6),
        "continuation_bits_per_byte": single(2.0),
        "load_seconds": single(0.25),
        "kl_divergence": single(0.1),
        "quantised_share": single(0.5),
    }
    assert headers(table_of([make_row(metrics=metrics)], *metrics)) == [
        "variant",
        "decode (tokens/s)\u00a0↑",
        "perplexity\u00a0↓",
        "cloze accuracy (%)\u00a0↑",
        "parameters (M)\u00a0↓",
        "continuation bits per byte\u00a0↓",
        "load (ms)\u00a0↓",
        "KL (nats/token)",
        "quantised (%)",
    ]


def test_cells_have_no_unit():
    table = table_of([make_row(metrics={DECODE: single(50.0), CLOZE: single(0.4), SIZE: single(3 * MIB)})],
                     DECODE, CLOZE, SIZE)  # fmt: skip
    assert plainly(table).lines[0][1:] == ("50.0", "40.0", "3.000")


def test_a_column_has_one_unit_that_of_its_middle_value():
    table = table_of(rows_of(SIZE, [512 * 2.0**10, 3 * MIB, 2 * 2.0**30]), SIZE)
    assert headers(table) == ["variant", "weights (MiB)\u00a0↓"]
    assert column(table) == ["0.5", "3.000", "2,048"]


def test_a_cell_sorts_by_its_value_in_the_metrics_own_unit():
    cells = [line[1] for line in table_of(rows_of(SIZE, [MIB, 3 * MIB]), SIZE).lines]
    assert [cell.value for cell in cells if isinstance(cell, Cell)] == [MIB, 3 * MIB]


def test_values_are_rounded_by_their_intervals():
    row = make_row(metrics={DECODE: between(1036.0, 727.0, 1414.0), CLOZE: between(0.4, 0.3125, 0.45)})
    assert plainly(table_of([row], DECODE, CLOZE)).lines[0][1:] == ("1,040 [730, 1,410]", "40.0 [31.2, 45.0]")


def test_without_the_ends_values_are_still_rounded_by_their_intervals():
    row = make_row(metrics={DECODE: between(1036.0, 727.0, 1414.0), CLOZE: between(0.4, 0.3125, 0.45)})
    assert plainly(table_of([row], DECODE, CLOZE, intervals=False)).lines[0][1:] == ("1,040", "40.0")


def test_the_ends_can_be_asked_for_of_some_metrics():
    row = make_row(metrics={DECODE: between(1036.0, 727.0, 1414.0), CLOZE: between(0.4, 0.3125, 0.45)})
    table = table_of([row], DECODE, CLOZE, intervals=(CLOZE,))
    assert plainly(table).lines[0][1:] == ("1,040", "40.0 [31.2, 45.0]")


def test_words_can_lead_and_trail():
    row = make_row("gpt/onnxruntime/int8/cpu", {DECODE: single(5.0)}, "seq2seq", status="failed", reason="no")
    lead = ("variant", "candidate", "family", "origin", "engine", "precision", "device")
    table = table_of([row], DECODE, lead=lead, trail=("status",))
    assert headers(table) == [*lead, "decode (tokens/s)\u00a0↑", "status"]
    assert plainly(table).lines == (
        ("`gpt/onnxruntime/int8/cpu`", "`gpt`", "seq2seq", "trained", "onnxruntime", "int8", "cpu", "5.000", "failed"),
    )
    assert table.left == len(lead)


def test_a_status_that_is_good_but_not_equivalent_says_so():
    row = make_row(metrics={DECODE: single(5.0), "perplexity_ratio": single(2.0)})
    assert column(table_of([row], DECODE, trail=("status",)), 2) == ["not equivalent"]


def test_what_nobody_has_is_no_column_unless_everything_is_asked_for():
    rows = rows_of(SIZE, [MIB, 2 * MIB])
    assert headers(table_of(rows, DECODE, SIZE)) == ["variant", "weights (MiB)\u00a0↓"]
    table = table_of(rows, DECODE, SIZE, everything=True)
    assert headers(table) == ["variant", "decode (tokens/s)\u00a0↑", "weights (MiB)\u00a0↓"]
    assert column(table) == ["–", "–"]


def test_without_rows_there_is_no_table():
    assert metric_table([], [DECODE]) is None


def test_a_missing_value_says_why():
    """The family has no such measure; it was not taken; the variant failed before it was, or its whole family did."""
    rows = [
        make_row("gpt/x/fp32/cpu", {DECODE: single(50.0)}),
        make_row("bert/x/fp32/cpu", family="masked"),
        make_row("gpt/x/int8/cpu"),
        make_row("gpt/y/int8/cpu", status="out-of-memory", reason="killed"),
        make_row("t5/x/int8/cpu", family="seq2seq", status="failed", reason="no kernel"),
    ]
    table = table_of(rows, DECODE)
    assert column(table) == ["50.0", "–", "not measured", "out-of-memory", "failed"]
    assert [isinstance(line[1], Cell) and line[1].empty for line in table.lines] == [False, True, True, True, True]


def test_the_best_is_bold_where_higher_is_better_and_where_lower_is():
    assert bold(table_of(rows_of(SIZE, [3.0, 1.0, 2.0]), SIZE)) == ["b"]
    rows = [
        make_row(f"{name}/x/fp32/cpu", {CLOZE: answered(CLOZE, [each + more for each in RIGHT])})
        for name, more in (("a", 0.0), ("b", 3.0), ("c", -1.0))
    ]
    assert bold(table_of(rows, CLOZE)) == ["b"]


def test_exact_values_that_are_equal_are_all_bold():
    assert bold(table_of(rows_of(SIZE, [1.0, 2.0, 1.0]), SIZE)) == ["a", "c"]


def test_sizes_that_differ_at_all_are_told_apart_and_single_readings_of_memory_from_five_per_cent_on():
    assert bold(table_of(rows_of(SIZE, [100.0, 100.1, 200.0]), SIZE)) == ["a"]
    assert bold(table_of(rows_of(MEMORY, [100.0, 104.0, 200.0]), MEMORY)) == ["a", "b"]


def in_rounds(name: str, speed: float, jitter: Sequence[float] = JITTER, **other) -> Row:
    return make_row(f"{name}/x/fp32/cpu", {DECODE: timed([speed * each for each in jitter])}, **other)


def test_of_timings_what_pairs_by_round_cannot_tell_apart_is_tied():
    """``near`` is faster in one round and slower in the next, ``worse`` is slower by a little in each."""
    near = [each * (1 + 0.02 * (-1) ** number) for number, each in enumerate(JITTER)]
    rows = [in_rounds("best", 100.0), in_rounds("near", 100.0, near), in_rounds("worse", 99.0)]
    assert bold(table_of(rows, DECODE)) == ["best", "near"]


def test_too_few_rounds_settle_nothing_so_that_nothing_is_bold():
    rows = [in_rounds(name, speed, JITTER[:3]) for name, speed in (("a", 100.0), ("b", 50.0), ("c", 100.0))]
    assert bold(table_of(rows, DECODE)) == []


def test_of_quality_what_pairs_by_document_cannot_tell_apart_is_tied():
    """``near`` is up in one document and down in the next; ``worse`` loses a little in each."""
    near = [each + 0.5 * (-1) ** number for number, each in enumerate(NATS)]
    rows = [
        make_row(f"{name}/x/fp32/cpu", {PERPLEXITY: scored(PERPLEXITY, nats)})
        for name, nats in (("best", NATS), ("near", near), ("worse", [each + 1 for each in NATS]))
    ]
    assert bold(table_of(rows, PERPLEXITY)) == ["best", "near"]


def test_a_perplexity_has_no_best_among_different_tokenizers_and_bits_per_byte_have():
    rows = [
        make_row(
            f"{name}/x/fp32/cpu",
            {PERPLEXITY: scored(PERPLEXITY, nats), "bits_per_byte": scored("bits_per_byte", nats)},
            tokenizer=name,
        )
        for name, nats in (("a", NATS), ("b", [each + 50 for each in NATS]))
    ]
    table = table_of(rows, PERPLEXITY, "bits_per_byte")
    assert (bold(table, 1), bold(table, 2)) == ([], ["a"])


def test_nothing_is_bold_where_nothing_is_worse():
    assert bold(table_of(rows_of(SIZE, [1.0, 1.0, 1.0]), SIZE)) == []
    assert bold(table_of(rows_of(SIZE, [1.0]), SIZE)) == []


def test_nothing_is_bold_where_no_direction_is_better():
    assert bold(table_of(rows_of("kl_divergence", [0.1, 0.2]), "kl_divergence")) == []


@pytest.mark.parametrize("status", ["failed", "timeout", "interrupted"])
def test_what_did_not_go_well_is_never_the_best(status):
    first, *rest = rows_of(SIZE, [1.0, 2.0, 3.0])
    assert bold(table_of([replace(first, status=status), *rest], SIZE)) == ["b"]


def test_what_is_not_equivalent_is_never_the_best():
    first, *rest = rows_of(SIZE, [1.0, 2.0, 3.0])
    lost = replace(first, metrics={**first.metrics, "perplexity_ratio": single(2.0)})
    assert bold(table_of([lost, *rest], SIZE)) == ["b"]


def test_where_only_one_variant_went_well_there_is_nothing_to_be_better_than():
    first, second = rows_of(SIZE, [1.0, 2.0])
    assert bold(table_of([first, replace(second, status="failed")], SIZE)) == []


def test_the_best_is_that_of_a_column_whatever_the_family():
    rows = [
        make_row("a/x/fp32/cpu", {ENCODE: single(5.0), SIZE: single(2.0)}, "masked"),
        make_row("b/x/fp32/cpu", {SIZE: single(1.0)}),
        make_row("c/x/fp32/cpu", {ENCODE: single(3.0), SIZE: single(3.0)}, "masked"),
    ]
    table = table_of(rows, ENCODE, SIZE)
    assert (bold(table, 1), bold(table, 2)) == (["a"], ["b"])
