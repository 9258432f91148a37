from __future__ import annotations

import pytest
from builders import make_row, scored, single, timed

from harness.selection.eligibility import Reason
from harness.selection.limits import parse_limit
from harness.selection.recommend import UseCase, recommend

SPEED, QUALITY, MEMORY = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes"


def use_case(objective: str = SPEED, *tie_breakers: str, limits: tuple[str, ...] = (), families=("causal",)) -> UseCase:
    return UseCase("Generation", families, objective, tie_breakers, tuple(map(parse_limit, limits)))


def names(rows) -> list[str]:
    return [row.subject.candidate for row in rows]


def lost(found, *kinds: str) -> list[str]:
    """Candidates that were not chosen for a reason of these kinds, or of any."""
    return names(rival.row for rival in found.rivals if not kinds or rival.reason.kind in kinds)


def reason_of(found, variant: str):
    return {rival.row.variant: rival.reason for rival in found.rivals}[variant]


@pytest.mark.parametrize(("objective", "winner"), [(SPEED, "fast"), (QUALITY, "good"), (MEMORY, "small")])
def test_the_best_at_the_objective_wins(variant, objective, winner):
    rows = [
        variant("fast", speed=200, loss=1.2, memory=3e8),
        variant("good", speed=100, loss=1.0, memory=2e8),
        variant("small", speed=50, loss=1.1, memory=1e8),
    ]
    found = recommend(rows, use_case(objective))
    assert found.chosen.subject.candidate == winner
    assert sorted(lost(found, "worse")) == sorted({"fast", "good", "small"} - {winner})
    assert (found.tied, len(found.rivals), len(found.eligible)) == ((), 2, 3)


def test_rivals_come_with_the_advantage_of_the_choice(variant):
    found = recommend([variant("slow", speed=100), variant("fast", speed=200)], use_case())
    (rival,) = found.rivals
    assert (rival.row.subject.candidate, rival.reason.kind) == ("slow", "worse")
    assert rival.reason.comparison.ratio.value == pytest.approx(2.0)
    assert rival.reason.comparison.better is True


def test_rivals_come_with_the_nearest_first(variant):
    found = recommend([variant("far", speed=20), variant("best", speed=100), variant("near", speed=80)], use_case())
    assert lost(found) == ["near", "far"]


def test_families_that_cannot_do_the_job_are_not_considered(variant):
    rows = [variant("mini", speed=10), variant("bert", speed=1000, family="masked")]
    found = recommend(rows, use_case())
    assert found.chosen.subject.candidate == "mini"
    assert found.rivals == ()


LIMIT = parse_limit("peak_memory_bytes <= 3e8")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"status": "failed", "reason": "no layer"}, Reason("failed", detail="failed: no layer")),
        ({"speed": None}, Reason("unmeasured", SPEED)),
        ({"memory": 4e8}, Reason("missed", MEMORY, LIMIT)),
        ({"memory": 3e8}, Reason("uncertain", MEMORY, LIMIT)),
        ({"memory": None}, Reason("unmeasured", MEMORY, LIMIT)),
    ],
    ids=["failed", "objective missing", "limit missed", "limit uncertain", "limit not measured"],
)
def test_a_variant_that_does_not_qualify_is_excluded_with_the_reason(variant, bad, reason):
    excellent = {"speed": 1000, "memory": 1e8} | bad
    rows = [variant("bad", **excellent), variant("plain", speed=10, memory=2e8)]
    found = recommend(rows, use_case(limits=(str(LIMIT),)))
    assert found.chosen.subject.candidate == "plain"
    assert [(rival.row.subject.candidate, rival.reason) for rival in found.rivals] == [("bad", reason)]
    assert found.may_miss == ()


def test_where_no_variant_surely_keeps_the_limits_one_that_may_is_chosen(variant):
    rows = [variant("may", speed=50, memory=3e8), variant("slow", speed=10, memory=3e8), variant("big", memory=4e8)]
    found = recommend(rows, use_case(limits=(str(LIMIT), "decode >= 5")))
    assert found.chosen.subject.candidate == "may"
    assert found.may_miss == (LIMIT,)
    assert (lost(found, "worse"), lost(found, "missed")) == (["slow"], ["big"])


def test_a_variant_that_misses_one_limit_and_may_miss_another_misses(variant):
    rows = [variant("bad", speed=100, memory=3e8), variant("plain", speed=300, memory=1e8)]
    found = recommend(rows, use_case(limits=(str(LIMIT), "decode >= 200")))
    assert reason_of(found, "bad/torch/fp32/cpu") == Reason("missed", SPEED, parse_limit("decode >= 200"))


@pytest.mark.parametrize(
    ("off", "reason"),
    [
        ({"ratio": 1.1, "agreement": 0.99}, "its perplexity is +10.00 % against fp32 torch"),
        ({"ratio": 1.01, "agreement": 0.9}, "its likeliest token is that of fp32 torch in 90.00 % of cases"),
    ],
    ids=["perplexity", "agreement"],
)
def test_a_variant_that_is_not_equivalent_to_its_parent_is_excluded(variant, off, reason):
    rows = [variant("mini", speed=10), variant("mini/onnxruntime/int8/cpu", speed=100, **off)]
    found = recommend(rows, use_case())
    assert found.chosen.variant == "mini/torch/fp32/cpu"
    assert reason_of(found, "mini/onnxruntime/int8/cpu").kind == "not equivalent"
    assert reason_of(found, "mini/onnxruntime/int8/cpu").detail.startswith(reason)


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
    assert any(rival.reason.kind == "no better than word frequencies" for rival in found.rivals) is excluded


def test_where_nobody_qualifies_nobody_is_recommended(variant):
    rows = [variant("mini", status="timeout", reason="timing: killed"), variant("bert", family="masked")]
    found = recommend(rows, use_case(families=("causal", "seq2seq")))
    assert found.chosen is None
    assert found.why_none == "nobody qualifies"
    assert lost(found, "failed") == ["mini"]
    assert found.unmeasured.families == ("seq2seq",)


def test_variants_that_cannot_be_told_apart_are_tied(variant):
    rows = [variant("a", speed=100), variant("b", speed=101, wobble=0.1), variant("slow", speed=50)]
    found = recommend(rows, use_case())
    assert sorted([found.chosen.subject.candidate, *names(found.tied)]) == ["a", "b"]
    assert lost(found, "worse") == ["slow"]
    assert len(lost(found, "tied")) == 1


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
    assert found.why_none == "tokenizers differ"


def test_bits_per_byte_rank_models_of_different_tokenizers(variant):
    rows = [variant("a", loss=1.0), variant("b", loss=1.2, tokenizer="tokenizer-2")]
    assert recommend(rows, use_case(QUALITY)).chosen.subject.candidate == "a"


def test_measures_on_the_same_items_rank_models_of_different_families_and_tokenizers(variant):
    rows = [variant("gpt", right=3), variant("bert", right=5, family="masked", tokenizer="tokenizer-2")]
    found = recommend(rows, use_case("cloze_accuracy", families=("causal", "masked")))
    assert found.chosen.subject.candidate == "bert"
    assert lost(found, "worse") == ["gpt"]


def test_perplexities_of_one_tokenizer_are_ranked_beside_an_excluded_one_of_another(variant):
    rows = [variant("a"), variant("b", loss=1.2), variant("c", tokenizer="tokenizer-2", status="failed", reason="no")]
    assert recommend(rows, use_case("perplexity")).chosen.subject.candidate == "a"


def test_a_tied_variant_comes_with_the_tie_breaker_at_which_the_choice_is_better(variant):
    rows = [variant("a", memory=2e8), variant("b", memory=1e8), variant("c", loss=1.2, memory=1e8)]
    found = recommend(rows, use_case(SPEED, QUALITY, MEMORY))
    assert found.chosen.subject.candidate == "b"
    assert reason_of(found, "a/torch/fp32/cpu").metric == MEMORY
    assert reason_of(found, "c/torch/fp32/cpu").metric == QUALITY


def test_a_rival_comes_with_who_dominates_it(variant):
    rows = [
        variant("fast", speed=200, memory=2e8),
        variant("small", speed=100, memory=1e8),
        variant("neither", speed=50, memory=3e8),
    ]
    found = recommend(rows, use_case())
    assert found.axes == (SPEED, MEMORY)
    assert names(found.front) == ["fast", "small"]
    assert reason_of(found, "neither/torch/fp32/cpu").dominated_by in ("fast/torch/fp32/cpu", "small/torch/fp32/cpu")
    assert reason_of(found, "small/torch/fp32/cpu").dominated_by == ""


def test_a_tied_variant_that_is_dominated_is_not_chosen_though_it_has_the_best_value(variant):
    """Their speeds cannot be told apart, and the slower one by its value is as good at the rest and smaller."""
    rows = [variant("a", speed=100, memory=1e8), variant("b", speed=101, wobble=0.1, memory=1e8)]
    best = max(rows, key=lambda row: row.value(SPEED))
    small = variant("small", speed=best.value(SPEED), memory=5e7)
    found = recommend([*rows, small], use_case())
    assert found.chosen.subject.candidate == "small"
    assert set(names(found.tied)) == {"a", "b"}


def test_weights_choose_by_the_weighted_geometric_mean(variant):
    rows = [variant("good", speed=100, loss=1.0), variant("fast", speed=150, loss=1.3)]
    by_speed = UseCase("w", ("causal",), weights=((QUALITY, 1.0), (SPEED, 1.0)))
    by_quality = UseCase("w", ("causal",), weights=((QUALITY, 2.0), (SPEED, 1.0)))
    assert recommend(rows, by_speed).chosen.subject.candidate == "fast"
    assert recommend(rows, by_quality).chosen.subject.candidate == "good"


def test_what_was_not_measured_of_whom_is_told(variant):
    rows = [variant("a", memory=1e8, right=3), variant("b", speed=50, right=None)]
    found = recommend(rows, use_case(SPEED, "cloze_accuracy", "load_seconds", families=("causal", "masked")))
    assert found.unmeasured.families == ("masked",)
    assert {metric: names(lacking) for metric, lacking in found.unmeasured.metrics.items()} == {
        "cloze_accuracy": ["b"],
        "load_seconds": ["a", "b"],
        MEMORY: ["b"],
    }
    assert found.unmeasured.by_nobody() == ("load_seconds",)


def test_a_use_case_wants_either_an_objective_or_weights_above_zero():
    for wrong in ({}, {"objective": SPEED, "weights": ((SPEED, 1.0),)}, {"weights": ((SPEED, 0.0),)}):
        with pytest.raises(ValueError, match="expected"):
            UseCase("x", ("causal",), **wrong)
