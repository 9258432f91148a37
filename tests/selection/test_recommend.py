from __future__ import annotations

import pytest
from builders import make_row, scored, single, timed

from harness.selection.limits import parse_limit
from harness.selection.recommend import UseCase, recommend

SPEED, QUALITY, MEMORY = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes"


def use_case(objective: str = SPEED, *tie_breakers: str, limits: tuple[str, ...] = (), families=("causal",)) -> UseCase:
    return UseCase("Generation", families, objective, tie_breakers, tuple(map(parse_limit, limits)))


def names(rows) -> list[str]:
    return [row.subject.candidate for row in rows]


@pytest.mark.parametrize(("objective", "winner"), [(SPEED, "fast"), (QUALITY, "good"), (MEMORY, "small")])
def test_the_best_at_the_objective_wins(variant, objective, winner):
    rows = [
        variant("fast", speed=200, loss=1.2, memory=3e8),
        variant("good", speed=100, loss=1.0, memory=2e8),
        variant("small", speed=50, loss=1.1, memory=1e8),
    ]
    found = recommend(rows, use_case(objective))
    assert found.chosen.subject.candidate == winner
    assert sorted(names(row for row, _ in found.rivals)) == sorted({"fast", "good", "small"} - {winner})
    assert (found.tied, found.excluded) == ((), {})


def test_rivals_come_with_the_advantage_of_the_choice(variant):
    found = recommend([variant("slow", speed=100), variant("fast", speed=200)], use_case())
    ((rival, comparison),) = found.rivals
    assert rival.subject.candidate == "slow"
    assert comparison.ratio.value == pytest.approx(2.0)
    assert comparison.better is True


def test_families_that_cannot_do_the_job_are_not_considered(variant):
    rows = [variant("mini", speed=10), variant("bert", speed=1000, family="masked")]
    found = recommend(rows, use_case())
    assert found.chosen.subject.candidate == "mini"
    assert found.excluded == {}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"status": "failed", "reason": "scoring: no such layer"}, "failed: scoring: no such layer"),
        ({"speed": None}, "decode_tokens_per_second was not measured"),
        ({"memory": 4e8}, "misses the limit peak_memory_bytes <= "),
        ({"memory": None}, "peak_memory_bytes was not measured, so the limit"),
    ],
    ids=["failed", "objective missing", "limit missed", "limit not measured"],
)
def test_a_variant_that_does_not_qualify_is_excluded_with_the_reason(variant, bad, reason):
    excellent = {"speed": 1000, "memory": 1e8} | bad
    rows = [variant("bad", **excellent), variant("plain", speed=10, memory=2e8)]
    found = recommend(rows, use_case(limits=("peak_memory_bytes <= 3e8",)))
    assert found.chosen.subject.candidate == "plain"
    assert list(found.excluded) == ["bad/torch/fp32/cpu"]
    assert found.excluded["bad/torch/fp32/cpu"].startswith(reason)


@pytest.mark.parametrize(
    ("off", "reason"),
    [
        ({"ratio": 1.1, "agreement": 0.99}, "its perplexity is +10.00% against fp32 torch"),
        ({"ratio": 1.01, "agreement": 0.9}, "its likeliest token is that of fp32 torch in 90.00% of cases"),
    ],
    ids=["perplexity", "agreement"],
)
def test_a_variant_that_is_not_equivalent_to_its_parent_is_excluded(variant, off, reason):
    rows = [variant("mini", speed=10), variant("mini/onnxruntime/int8/cpu", speed=100, **off)]
    found = recommend(rows, use_case())
    assert found.chosen.variant == "mini/torch/fp32/cpu"
    assert found.excluded["mini/onnxruntime/int8/cpu"].startswith(reason)


def test_a_variant_that_is_equivalent_to_its_parent_is_considered(variant):
    rows = [variant("mini", speed=10), variant("mini/onnxruntime/int8/cpu", speed=100, ratio=1.04, agreement=0.96)]
    assert recommend(rows, use_case()).chosen.variant == "mini/onnxruntime/int8/cpu"


@pytest.mark.parametrize(
    ("metric", "family"), [("perplexity", "causal"), ("masked_perplexity", "masked"), ("span_perplexity", "seq2seq")]
)
@pytest.mark.parametrize(("floor", "excluded"), [(1.0, True), (0.99, True), (1.01, False)])
def test_a_variant_no_better_than_word_frequencies_is_excluded(metric, family, floor, excluded):
    nats = [600.0, 620.0, 640.0]
    metrics = {metric: scored(metric, nats), MEMORY: single(1.0)}
    metrics["unigram_perplexity"] = single(floor * metrics[metric].estimate.value)
    found = recommend([make_row(metrics=metrics, family=family)], use_case(MEMORY, families=(family,)))
    assert (found.chosen is None) is excluded
    assert any("word frequencies" in reason for reason in found.excluded.values()) is excluded


def test_where_nobody_qualifies_nobody_is_recommended(variant):
    rows = [variant("mini", status="timeout", reason="timing: killed"), variant("bert", family="masked")]
    found = recommend(rows, use_case(families=("causal", "seq2seq")))
    assert found.chosen is None
    assert found.why_none == "no variant of causal or seq2seq models qualifies"
    assert list(found.excluded) == ["mini/torch/fp32/cpu"]


def test_variants_that_cannot_be_told_apart_are_tied(variant):
    rows = [variant("a", speed=100), variant("b", speed=101, wobble=0.1), variant("slow", speed=50)]
    found = recommend(rows, use_case())
    assert sorted([found.chosen.subject.candidate, *names(found.tied)]) == ["a", "b"]
    assert names(row for row, _ in found.rivals) == ["slow"]


def test_without_a_tie_breaker_the_best_value_is_chosen_among_the_tied(variant):
    found = recommend([variant("a", speed=100), variant("b", speed=101, wobble=0.1)], use_case())
    best = max([variant("a", speed=100), variant("b", speed=101, wobble=0.1)], key=lambda row: row.value(SPEED))
    assert found.chosen.variant == best.variant
    assert found.decided_by == ""


def test_equal_variants_without_a_tie_breaker_leave_the_first_of_the_suite(variant):
    found = recommend([variant("a"), variant("b"), variant("c")], use_case(SPEED, QUALITY, MEMORY))
    assert found.chosen.subject.candidate == "a"
    assert names(found.tied) == ["b", "c"]
    assert found.decided_by == ""


def test_a_tie_breaker_chooses_among_the_tied_only(variant):
    rows = [variant("a", loss=1.2), variant("b", loss=1.0), variant("slow", speed=50, loss=0.5)]
    found = recommend(rows, use_case(SPEED, QUALITY))
    assert found.chosen.subject.candidate == "b"
    assert found.decided_by == QUALITY
    assert names(found.tied) == ["a"]


def test_a_tie_breaker_that_cannot_tell_leaves_it_to_the_next(variant):
    found = recommend([variant("a", memory=2e8), variant("b", memory=1e8)], use_case(SPEED, QUALITY, MEMORY))
    assert found.chosen.subject.candidate == "b"
    assert found.decided_by == MEMORY


def test_a_tie_breaker_that_was_not_measured_leaves_it_to_the_next(variant):
    rows = [variant("a", loss=1.2), variant("b", loss=1.0)]
    found = recommend(rows, use_case(SPEED, MEMORY, QUALITY))
    assert (found.chosen.subject.candidate, found.decided_by) == ("b", QUALITY)


def test_those_that_a_tie_breaker_leaves_tied_are_handed_to_the_next(variant):
    rows = [variant("a", memory=2e8), variant("b", memory=1e8), variant("worse", loss=1.5, memory=5e7)]
    found = recommend(rows, use_case(SPEED, QUALITY, MEMORY))
    assert found.chosen.subject.candidate == "b"


def test_a_perplexity_of_another_tokenizer_breaks_no_tie(variant):
    rows = [variant("a", loss=1.2, memory=1e8), variant("b", loss=1.0, memory=2e8, tokenizer="tokenizer-2")]
    found = recommend(rows, use_case(SPEED, "perplexity", MEMORY))
    assert (found.chosen.subject.candidate, found.decided_by) == ("a", MEMORY)


def test_too_few_rounds_for_an_interval_let_the_values_decide():
    rows = [make_row(f"{name}/torch/fp32/cpu", {SPEED: timed([speed] * 3)}) for name, speed in (("a", 9), ("b", 9.1))]
    found = recommend(rows, use_case())
    assert (found.chosen.subject.candidate, found.tied) == ("b", ())


def test_perplexities_of_different_tokenizers_rank_nobody(variant):
    rows = [variant("a", loss=1.0), variant("b", loss=1.2, tokenizer="tokenizer-2")]
    found = recommend(rows, use_case("perplexity"))
    assert found.chosen is None
    assert found.why_none == "perplexity cannot be compared between models with different tokenizers"


def test_bits_per_byte_rank_models_of_different_tokenizers(variant):
    rows = [variant("a", loss=1.0), variant("b", loss=1.2, tokenizer="tokenizer-2")]
    assert recommend(rows, use_case(QUALITY)).chosen.subject.candidate == "a"


def test_measures_on_the_same_items_rank_models_of_different_families_and_tokenizers(variant):
    rows = [variant("gpt", right=3), variant("bert", right=5, family="masked", tokenizer="tokenizer-2")]
    found = recommend(rows, use_case("cloze_accuracy", families=("causal", "masked")))
    assert found.chosen.subject.candidate == "bert"
    assert names(row for row, _ in found.rivals) == ["gpt"]


def test_perplexities_of_one_tokenizer_are_ranked_beside_an_excluded_one_of_another(variant):
    rows = [variant("a"), variant("b", loss=1.2), variant("c", tokenizer="tokenizer-2", status="failed", reason="no")]
    assert recommend(rows, use_case("perplexity")).chosen.subject.candidate == "a"
