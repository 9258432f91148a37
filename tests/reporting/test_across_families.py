"""The table across families: who is ranked, how, and beside which floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from builders import answered, make_row, plainly, scored, single

from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.records.values import Value
from harness.reporting.quality import across_families, items_words
from harness.reporting.table import Table

BITS, CLOZE, CHOICE = "continuation_bits_per_byte", "cloze_accuracy", "forced_choice_accuracy"
BOTH = "cloze_accuracy_both_sides"
SHIFTS = (1.0, -2.0, 3.0, 0.0, -1.0, 2.0, -3.0, 0.0)


def evenly(metric: str, mean: float) -> Value:
    """A measure of items with this sum in a document, on average. All of its kind find the same documents hard, so that
    any difference between two of them is settled by pairs, though each has an interval of some width."""
    return answered(metric, [mean + shift / 4 for shift in SHIFTS])


def wobbling(metric: str, mean: float) -> Value:
    """As ``evenly``, but up in every second document and down in the others: not told from a mean nearby."""
    return answered(metric, [mean + shift / 4 + (-1) ** i for i, shift in enumerate(SHIFTS)])


def row(name: str, metrics: Mapping[str, Value] | None = None, **other) -> Row:
    """A variant with a tokenizer of its own, unless told otherwise."""
    other.setdefault("tokenizer", f"tokenizer of {name}")
    return make_row(name if "/" in name else f"{name}/torch/fp32/cpu", metrics, **other)


def models(metric: str, **means: float) -> list[Row]:
    """Candidates of which a measure is known, and nothing else."""
    return [row(name, {metric: evenly(metric, mean)}) for name, mean in means.items()]


def across(rows: Sequence[Row]) -> Table:
    return plainly(across_families(rows))


def variants(table: Table, header: str) -> dict[str, str]:
    """The cells of a column by candidate, in the order of the lines; without the baselines."""
    place = table.headers.index(header)
    return {line[0].strip("`").split("/")[0]: line[place] for line in table.lines if "unigram" not in line[0]}


def ranks(table: Table, header: str) -> dict[str, str]:
    """The rank of each candidate as it is shown; empty for those without one."""
    return {name: cell.split(" · ")[0] if " · " in cell else "" for name, cell in variants(table, header).items()}


def floors(table: Table, header: str) -> dict[str, str]:
    """The values of a column by the candidate whose tokenizer the baseline is of, without their intervals."""
    place = table.headers.index(header)
    return {
        line[0].removeprefix("*unigram baseline (").removesuffix(", its tokenizer)*"): line[place].split(" ")[0]
        for line in table.lines
        if "unigram" in line[0]
    }


def test_fewer_bits_rank_higher():
    table = across(models(BITS, a=20, b=15, c=25))
    assert ranks(table, "continuation bits per byte") == {"b": "#1", "a": "#2", "c": "#3"}


def test_a_higher_accuracy_ranks_higher():
    assert ranks(across(models(CLOZE, a=4, b=6, c=2)), "cloze accuracy") == {"b": "#1", "a": "#2", "c": "#3"}


def test_each_measure_has_ranks_of_its_own():
    table = across(
        [
            row("a", {BITS: evenly(BITS, 15), CLOZE: evenly(CLOZE, 2)}),
            row("b", {BITS: evenly(BITS, 20), CLOZE: evenly(CLOZE, 6)}),
        ]
    )
    assert ranks(table, "continuation bits per byte") == {"a": "#1", "b": "#2"}
    assert ranks(table, "cloze accuracy") == {"a": "#2", "b": "#1"}


def test_variants_that_cannot_be_told_apart_share_a_rank_and_the_next_comes_after_all_of_them():
    rows = [*models(BITS, worse=30, a=20), row("b", {BITS: wobbling(BITS, 20.1)})]
    assert ranks(across(rows), "continuation bits per byte") == {"a": "#1", "b": "#1", "worse": "#3"}


def test_a_rank_is_one_more_than_the_number_of_those_that_are_better():
    """``unclear`` cannot be told from either of the others, of which one is better than the other."""
    rows = [*models(BITS, good=20, fair=20.4), row("unclear", {BITS: wobbling(BITS, 20.2)})]
    assert ranks(across(rows), "continuation bits per byte") == {"good": "#1", "unclear": "#1", "fair": "#2"}


def test_a_rank_stands_on_pairs_and_not_on_whether_intervals_overlap():
    rows = models(BITS, a=20, b=20.4)
    a, b = (each.metrics[BITS].estimate for each in rows)
    assert b.low < a.high
    assert ranks(across(rows), "continuation bits per byte") == {"a": "#1", "b": "#2"}


def test_models_of_all_families_and_tokenizers_are_ranked_together():
    right = {"causal": 3.0, "masked": 6.0, "seq2seq": 5.0}
    rows = [row(name, {CLOZE: evenly(CLOZE, each)}, family=name) for name, each in right.items()]
    assert ranks(across(rows), "cloze accuracy") == {"masked": "#1", "seq2seq": "#2", "causal": "#3"}


def test_a_rank_stands_before_the_value_and_its_interval():
    assert variants(across(models(CLOZE, a=4)), "cloze accuracy")["a"].startswith("#1 · 40 [")


@pytest.mark.parametrize("off", [{"perplexity_ratio": 1.2}, {"top1_agreement": 0.9}])
def test_a_variant_that_is_not_equivalent_is_shown_without_a_rank(off):
    beside = {metric: single(value) for metric, value in off.items()}
    table = across([row("lost/onnxruntime/int8/cpu", {BITS: evenly(BITS, 10), **beside}), *models(BITS, a=20, b=25)])
    assert ranks(table, "continuation bits per byte") == {"a": "#1", "b": "#2", "lost": ""}
    assert variants(table, "continuation bits per byte")["lost"].startswith("1.000 [")


def test_a_variant_that_failed_after_it_was_scored_is_shown_without_a_rank():
    failed = row("failed", {BITS: evenly(BITS, 10)}, status="timeout", reason="timing: killed")
    assert ranks(across([failed, *models(BITS, a=20)]), "continuation bits per byte") == {"a": "#1", "failed": ""}


def test_where_nobody_may_be_ranked_the_values_still_stand():
    lost = [replace(each, status="interrupted") for each in models(BITS, a=20, b=25)]
    assert ranks(across(lost), "continuation bits per byte") == {"a": "", "b": ""}


def test_the_best_and_what_cannot_be_told_from_it_are_bold_with_their_rank():
    table = across_families([*models(CLOZE, worse=2, a=6), row("b", {CLOZE: wobbling(CLOZE, 6.1)})])
    assert table is not None
    bold = [line[0] for line in table.lines if str(line[2]).startswith("**#1 · ")]
    assert bold == ["`b/torch/fp32/cpu`", "`a/torch/fp32/cpu`"]


def test_a_header_has_the_unit_of_its_measure_and_says_which_direction_is_better():
    table = across_families([row("a", {BITS: evenly(BITS, 20), CLOZE: evenly(CLOZE, 4)})])
    assert table is not None
    assert [str(each) for each in table.headers[2:]] == [
        "continuation bits per byte\u00a0↓",
        "cloze accuracy (%)\u00a0↑",
    ]


def test_lines_go_from_the_best_to_the_worst_with_those_without_a_rank_last():
    """Where a rank is shared, the value decides."""
    rows = [
        row("lost", {BITS: evenly(BITS, 10), "perplexity_ratio": single(2.0)}),
        *models(BITS, worse=30),
        row("tied", {BITS: wobbling(BITS, 20.1)}),
        *models(BITS, best=20),
    ]
    assert list(ranks(across(rows), "continuation bits per byte")) == ["best", "tied", "worse", "lost"]


def test_without_continuations_the_first_measure_that_was_taken_orders_the_lines():
    rows = [
        row("a", {CLOZE: evenly(CLOZE, 2), CHOICE: evenly(CHOICE, 8)}),
        row("b", {CLOZE: evenly(CLOZE, 4), CHOICE: evenly(CHOICE, 6)}),
    ]
    assert list(ranks(across(rows), "forced choice")) == ["b", "a"]


def test_a_measure_that_a_family_lacks_is_a_dash_for_it():
    bert = row("bert", {CLOZE: evenly(CLOZE, 4), BOTH: evenly(BOTH, 6)}, family="masked")
    table = across([*models(CLOZE, gpt=3), bert])
    assert variants(table, "cloze accuracy, both sides")["gpt"] == "–"
    assert ranks(table, "cloze accuracy, both sides")["bert"] == "#1"


def test_a_measure_that_nobody_has_is_no_column():
    assert across(models(CLOZE, a=3, b=4)).headers == ("variant", "family", "cloze accuracy")


def test_a_variant_that_was_asked_nothing_is_no_line():
    rows = [*models(CLOZE, a=3), row("unscored", {"weights_bytes": single(5.0)})]
    assert list(variants(across(rows), "cloze accuracy")) == ["a"]


def test_where_nobody_was_asked_anything_there_is_no_table():
    assert across_families([row("a", {"perplexity": scored("perplexity", [230.0, 240.0])})]) is None


def test_no_perplexity_ever_stands_beside_measures_that_compare():
    """A row that has every metric there is, with a value for perplexities that nothing else has."""
    perplexities = [name for name, metric in METRICS.items() if metric.unit == "perplexity"]
    assert len(perplexities) >= 10
    everything = {name: single(12345.0 if name in perplexities else 1.0) for name in METRICS}
    table = across([row("all", everything)])
    assert not [header for header in table.headers if "perplexity" in header]
    assert not [cell for line in table.lines for cell in line if "12,345" in cell]


def floored(name: str, floor: float = 1.0, **other) -> Row:
    """A variant with the floor of its measure."""
    metrics = {CLOZE: evenly(CLOZE, 4), f"unigram_{CLOZE}": evenly(f"unigram_{CLOZE}", floor)}
    return row(name, metrics, **other)


def test_each_tokenizer_has_a_floor_below_all_variants():
    table = across([floored("a", 1.0), floored("b", 2.0)])
    assert floors(table, "cloze accuracy") == {"a": "10.0", "b": "20.0"}
    assert ["unigram" in line[0] for line in table.lines] == [False, False, True, True]


def test_variants_that_share_a_tokenizer_share_its_floor():
    rows = [floored(name, tokenizer="shared") for name in ("a", "a/onnxruntime/fp32/cpu", "b")]
    assert list(floors(across(rows), "cloze accuracy")) == ["a"]


def test_families_that_share_a_tokenizer_have_a_floor_each():
    """They are scored at different tokens: a causal model also has to end the word."""
    rows = [floored(name, floor, tokenizer="shared", family=name) for name, floor in (("causal", 1.0), ("masked", 2.0))]
    assert floors(across(rows), "cloze accuracy") == {"causal": "10.0", "masked": "20.0"}


def test_floors_stand_in_the_order_in_which_tokenizers_first_come():
    rows = [floored("a"), floored("b"), floored("c", tokenizer="tokenizer of a")]
    assert list(floors(across(rows), "cloze accuracy")) == ["a", "b"]


def test_a_floor_has_no_rank():
    table = across([floored("a", floor=9.0)])
    assert "#" not in table.lines[-1][table.headers.index("cloze accuracy")]


def test_a_measure_that_a_family_lacks_has_no_floor_for_it():
    bert = floored("bert", family="masked")
    both = {BOTH: evenly(BOTH, 6), f"unigram_{BOTH}": evenly(f"unigram_{BOTH}", 1)}
    table = across([floored("gpt"), row("bert", {**bert.metrics, **both}, family="masked")])
    assert floors(table, "cloze accuracy, both sides") == {"gpt": "–", "bert": "10.0"}


def test_items_and_clusters_of_every_measure_that_was_taken_are_counted():
    rows = [row("a"), row("b", {BITS: evenly(BITS, 20), CHOICE: evenly(CHOICE, 7)})]
    words = "continuation bits per byte: 80 items in 8 clusters; forced choice: 80 items in 8 clusters"
    assert items_words(rows) == words


def test_thousands_of_items_are_separated():
    rows = [row("a", {"blimp_accuracy": answered("blimp_accuracy", [8.0] * 670)})]
    assert items_words(rows) == "BLiMP: 6,700 items in 670 clusters"
