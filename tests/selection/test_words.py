from __future__ import annotations

import pytest
from builders import answered, make_row, timed

from harness.records.metrics import METRICS
from harness.selection.limits import parse_limit
from harness.selection.recommend import UseCase, recommend
from harness.selection.words import not_measured, paragraph, paragraphs

SPEED, QUALITY, MEMORY = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes"


def words(rows, objective: str = "", *tie_breakers: str, **other) -> str:
    case = UseCase("Generation", ("causal",), objective, tie_breakers, **other)
    return paragraph(recommend(rows, case), rows)


def test_the_winner_is_named_with_its_value_and_interval(variant):
    text = words([variant("slow", speed=50), variant("fast", speed=100)], SPEED)
    assert text.startswith(
        "Use **`fast/torch/fp32/cpu`**. It has the highest decode of the 2 that qualify: 100.0 [97.0, 103.0] tokens/s."
    )


def test_the_only_one_that_qualifies_is_praised_for_nothing(variant):
    text = words([variant("mini", speed=100)], SPEED)
    assert "It is the only one that qualifies; its decode is 100.0 [97.0, 103.0] tokens/s." in text
    assert "resamples" not in text


def test_bits_per_byte_do_not_repeat_their_unit(variant):
    text = words([variant("bad", loss=1.2), variant("good")], QUALITY)
    assert "It has the lowest bits per byte of the 2 that qualify: 1.118 [" in text
    assert "bits/byte" not in text


@pytest.mark.parametrize("metric", ["continuation_bits_per_byte", "cloze_bits_per_char"])
def test_bits_of_items_do_not_repeat_their_unit(metric):
    rows = [
        make_row(f"{name}/torch/fp32/cpu", {metric: answered(metric, [bits] * 4)})
        for name, bits in (("a", 20.0), ("b", 30.0))
    ]
    expected = f"It has the lowest {METRICS[metric].title} of the 2 that qualify: 2.000. Next"
    assert expected in words(rows, metric)


def test_an_accuracy_is_shown_in_per_cent(variant):
    text = words([variant("bad", right=2), variant("good", right=4)], "cloze_accuracy")
    assert "It has the highest cloze accuracy of the 2 that qualify: 40 [30, 51] %." in text
    assert "with 20.0 [12.7, 30.0] %; the choice is at 2.000 times that." in text


def test_an_advantage_over_an_accuracy_of_nothing_has_no_ratio(variant):
    text = words([variant("bad", right=0), variant("good", right=4)], "cloze_accuracy")
    assert "Next is `bad/torch/fp32/cpu` with 0.0 [0.0, 4.6] %; there is no ratio to zero." in text


def test_a_metric_that_should_be_small_has_its_lowest_value_praised(variant):
    text = words([variant("a", memory=2 * 2**20), variant("b", memory=2**20)], MEMORY)
    assert "It has the lowest peak memory of the 2 that qualify: 1.000 MiB." in text


def test_the_nearest_rival_is_named_with_the_advantage_over_it(variant):
    rows = [variant("far", speed=20), variant("near", speed=80), variant("fast", speed=100, wobble=0.04)]
    text = words(rows, SPEED)
    assert (
        "Next is `near/torch/fp32/cpu` with 80.0 [77.6, 82.4] tokens/s; the choice is 24.9 [20.0, 30.0] % higher."
        in text
    )
    assert "`far/" not in text


def test_an_advantage_of_less_is_told_as_how_much_lower_it_is(variant):
    text = words([variant("bad", loss=1.25), variant("good", loss=1.0, wobble=0.02)], QUALITY)
    assert "Next is `bad/torch/fp32/cpu` with " in text
    assert "; the choice is 20.0 [18.5, 21.5] % lower." in text


@pytest.mark.parametrize("rounds", [1, 3])
def test_an_advantage_of_too_few_rounds_says_so(rounds):
    rows = [
        make_row(f"{name}/torch/fp32/cpu", {SPEED: timed([speed] * rounds)}) for name, speed in (("a", 9), ("b", 18))
    ]
    assert "the choice is at 2.000 times that. There are too few readings for an interval." in words(rows, SPEED)


def test_an_advantage_of_sizes_has_no_interval(variant):
    rows = [make_row(f"{name}/torch/fp32/cpu", {"weights_bytes": v}) for name, v in zip("ab", _sizes(), strict=True)]
    assert "the choice is 50.0 % lower." in words(rows, "weights_bytes")


def _sizes():
    from builders import single

    return single(2e8), single(1e8)


def test_those_that_are_as_good_share_the_recommendation(variant):
    rows = [variant("a", memory=2e8), variant("b", memory=1e8), variant("c", memory=3e8)]
    text = words(rows, SPEED, MEMORY)
    assert text.startswith(
        "Use **`b/torch/fp32/cpu`** (or `a/torch/fp32/cpu`, `c/torch/fp32/cpu`, which cannot be told from it; "
        "of these it has the lowest peak memory). Its decode is 100.0 [97.0, 103.0] tokens/s; 3 variants qualify."
    )


def test_a_tie_that_nothing_decided_names_no_decider(variant):
    text = words([variant("a"), variant("b")], SPEED)
    assert text.startswith("Use **`a/torch/fp32/cpu`** (or `b/torch/fp32/cpu`, which cannot be told from it). ")


def test_a_tie_breaker_at_which_another_tied_one_has_a_better_value_only_decided(variant):
    """b and c cannot be told apart at memory, where c has the better value; b is the faster one by its value."""
    rows = [variant("a", memory=3e8), variant("b", memory=1.01e8), variant("c", memory=1e8)]
    assert "which cannot be told from it; peak memory decided)" in words(rows, SPEED, MEMORY)


def test_weighed_metrics_are_told_with_weights_and_values(variant):
    rows = [variant("fast", speed=100), variant("slow", speed=50)]
    text = words(rows, weights=((QUALITY, 2.0), (SPEED, 1.0)))
    assert (
        "Weighed are bits per byte × 2, decode × 1: it is the best of the 2 that qualify, with bits per byte 1.1"
        in text
    )
    assert "; all weighed, the choice is 26.0 % better." in text
    assert "No change of a single weight makes another variant score best." in text


def test_what_was_given_up_is_told_with_the_best_at_it(variant):
    rows = [
        variant("fast", speed=100, loss=1.2, memory=2 * 2**20),
        variant("good", speed=50, loss=1.0, memory=3 * 2**20),
        variant("fair", speed=50, loss=1.1, memory=2**20),
    ]
    given_up = words(rows, SPEED).partition("Given up: ")[2].partition(". ")[0]
    assert "bits per byte (" in given_up
    assert "of `good/torch/fp32/cpu`" in given_up
    assert "peak memory (2.000 MiB against 1.000 MiB of `fair/torch/fp32/cpu`)" in given_up
    assert "decode" not in given_up


def test_a_choice_that_is_best_at_everything_gives_nothing_up(variant):
    rows = [variant("best", speed=100, loss=1.0, memory=1e8), variant("worse", speed=50, loss=1.2, memory=2e8)]
    text = words(rows, SPEED)
    assert "None of the others that qualify is surely better at anything else that was measured." in text
    assert "Given up" not in text


def test_quality_that_compares_across_families_is_told_where_it_is_given_up(variant):
    rows = [
        variant("small", right=2, memory=1e8),
        variant("bert", right=4, memory=2e8, family="masked", tokenizer="tokenizer-2"),
    ]
    case = UseCase("Smallest memory", ("causal", "masked"), MEMORY)
    given_up = paragraph(recommend(rows, case), rows).partition("Given up: ")[2]
    assert given_up.startswith("cloze accuracy (20.0 [12.7, 30.0] % against 40 [30, 51] % of `bert/torch/fp32/cpu`).")


def test_nothing_is_given_up_to_a_variant_that_was_excluded(variant):
    rows = [variant("mini", speed=100), variant("other", speed=50, loss=0.5, status="failed", reason="timing: no")]
    assert "Given up" not in words(rows, SPEED)


@pytest.mark.parametrize(("memory", "told"), [(0.9 * 2**20, True), (0.96 * 2**20, False)])
def test_a_rival_that_is_better_by_less_than_five_per_cent_is_not_held_against_the_choice(variant, memory, told):
    text = words([variant("fast", speed=100, memory=2**20), variant("slow", speed=50, memory=memory)], SPEED)
    assert ("Given up: peak memory" in text) is told


def test_those_that_do_not_qualify_are_told_as_numbers_by_reason(variant):
    rows = [
        variant("mini", memory=1e8),
        *(variant(name, speed=None) for name in ("a", "b")),
        variant("big", memory=1e9),
        variant("close", memory=3e8),
        variant("other", memory=1e8, ratio=2.0),
        *(variant(status, status=status, reason="killed") for status in ("failed", "timeout", "skipped")),
    ]
    assert words(rows, SPEED, limits=(parse_limit("peak_memory <= 3e8"),)).endswith(
        " Not considered: 1 beyond a limit, 1 that may be beyond a limit, 1 not equivalent to the model that they were "
        "made from, 2 not measured in full, 3 failed, skipped or unfinished."
    )


def test_where_all_qualify_nobody_is_left_out(variant):
    assert "Not considered" not in words([variant("a"), variant("b", speed=50)], SPEED)


def test_a_limit_that_too_few_readings_miss_is_told_apart(variant):
    rows = [make_row(f"{name}/torch/fp32/cpu", {SPEED: timed([speed] * 3)}) for name, speed in (("a", 9), ("b", 18))]
    text = words(rows, SPEED, limits=(parse_limit("decode >= 10"),))
    assert "Not considered: 1 beyond a limit by too few readings for an interval." in text
    assert "Decode ≥ 10.0 tokens/s is kept with 18.0 tokens/s, of too few readings for an interval." in text


def test_without_a_recommendation_the_reason_is_told(variant):
    rows = [variant("a", status="failed", reason="timing: no"), variant("b", speed=None, loss=None)]
    assert words(rows, SPEED) == (
        "No recommendation: no variant qualifies (families: causal). "
        "Not considered: 1 not measured in full, 1 failed, skipped or unfinished."
    )


def test_where_nobody_keeps_a_limit_it_is_told_which_would_be_kept(variant):
    rows = [variant("a", memory=100 * 2**20)]
    text = words(rows, SPEED, limits=(parse_limit("peak_memory <= 50 MiB"),))
    assert "With a limit of 95.0 MiB on peak memory the choice would be `a/torch/fp32/cpu`." in text


def test_perplexities_of_different_tokenizers_give_no_recommendation(variant):
    rows = [variant("a"), variant("b", tokenizer="tokenizer-2")]
    assert words(rows, "perplexity").startswith(
        "No recommendation: perplexity cannot be compared between models with different tokenizers."
    )


def test_a_choice_that_may_miss_a_limit_says_so(variant):
    rows = [variant("a", memory=100 * 2**20), variant("b", memory=200 * 2**20)]
    text = words(rows, SPEED, limits=(parse_limit("peak_memory <= 100 MiB"),))
    assert "No variant surely keeps all limits; of this one it is uncertain for peak memory ≤ 100 MiB." in text


def test_what_was_not_measured_is_told(variant):
    rows = [variant("a", right=3), variant("b", speed=50, right=None)]
    case = UseCase("x", ("causal", "seq2seq"), SPEED, ("cloze_accuracy", "load_seconds"))
    assert not_measured(recommend(rows, case)) == [
        "What was not measured: load.",
        "What was not measured of `b/torch/fp32/cpu`: cloze accuracy.",
        "The run has no candidate of these families: seq2seq.",
    ]


def test_names_from_outside_stay_names(variant):
    text = words([variant("a**b|c/torch/fp32/cpu", speed=100), variant("x`y/torch/fp32/cpu", speed=50)], SPEED)
    assert text.startswith("Use **`a**b|c/torch/fp32/cpu`**.")
    assert "``x`y/torch/fp32/cpu``" in text


def test_every_use_case_has_its_paragraph(variant):
    rows = [variant("mini"), variant("bert", family="masked")]
    cases = [UseCase("Generation", ("causal",), SPEED), UseCase("Understanding", ("masked",), QUALITY)]
    (first, one), (second, two) = paragraphs(rows, cases)
    assert (first, second) == ("Generation", "Understanding")
    assert "`mini/torch/fp32/cpu`" in one
    assert "`bert/torch/fp32/cpu`" in two
