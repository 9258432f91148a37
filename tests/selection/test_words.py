from __future__ import annotations

import pytest
from builders import answered, make_row, timed

from harness.records.metrics import METRICS
from harness.selection.recommend import UseCase, recommend
from harness.selection.words import paragraph, paragraphs

SPEED, QUALITY, MEMORY = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes"


def words(rows, objective: str, *tie_breakers: str) -> str:
    return paragraph(recommend(rows, UseCase("Generation", ("causal",), objective, tie_breakers)), rows)


def test_the_winner_is_named_with_its_value_and_interval(variant):
    text = words([variant("slow", speed=50), variant("fast", speed=100)], SPEED)
    assert text.startswith(
        "Use **`fast/torch/fp32/cpu`**. It has the highest decode of all that qualify: 100 [97.0, 103] tokens/s."
    )


def test_bits_per_byte_do_not_repeat_their_unit(variant):
    text = words([variant("bad", loss=1.2), variant("good")], QUALITY)
    assert "It has the lowest bits per byte of all that qualify: 1.118 [" in text
    assert "bits/byte" not in text


@pytest.mark.parametrize("metric", ["continuation_bits_per_byte", "cloze_bits_per_char"])
def test_bits_of_items_do_not_repeat_their_unit(metric):
    rows = [
        make_row(f"{name}/torch/fp32/cpu", {metric: answered(metric, [bits] * 4)})
        for name, bits in (("a", 20.0), ("b", 30.0))
    ]
    assert f"It has the lowest {METRICS[metric].title} of all that qualify: 2.000. Next" in words(rows, metric)


def test_an_accuracy_is_shown_in_per_cent(variant):
    text = words([variant("bad", right=2), variant("good", right=4)], "cloze_accuracy")
    assert "It has the highest cloze accuracy of all that qualify: 40.0% [30.0%, 51.0%]." in text
    assert "with 20.0% [12.7%, 30.0%] (the choice is at 2 times that" in text


def test_an_advantage_over_an_accuracy_of_nothing_has_no_ratio(variant):
    text = words([variant("bad", right=0), variant("good", right=4)], "cloze_accuracy")
    assert "Next is `bad/torch/fp32/cpu` with 0.0% [0.0%, 4.6%] (there is no ratio to zero)." in text


def test_a_metric_that_should_be_small_has_its_lowest_value_praised(variant):
    text = words([variant("a", memory=2 * 2**20), variant("b", memory=2**20)], MEMORY)
    assert "It has the lowest peak memory of all that qualify: 1.000 MiB." in text


def test_the_nearest_rival_is_named_with_the_advantage_over_it(variant):
    rows = [variant("far", speed=20), variant("near", speed=80), variant("fast", speed=100, wobble=0.04)]
    text = words(rows, SPEED)
    assert "Next is `near/torch/fp32/cpu` with 80.0 [77.6, 82.4] tokens/s" in text
    assert "the choice is at 1.25 times that, 95 % interval 1.2 to 1.3" in text
    assert "`far/" not in text


def test_an_advantage_of_too_few_rounds_says_so():
    rows = [make_row(f"{name}/torch/fp32/cpu", {SPEED: timed([speed] * 3)}) for name, speed in (("a", 9), ("b", 18))]
    assert "the choice is at 2 times that, too few rounds for an interval" in words(rows, SPEED)


def test_an_advantage_of_single_values_has_no_interval(variant):
    text = words([variant("a", memory=2e8), variant("b", memory=1e8)], MEMORY)
    assert "(the choice is at 0.5 times that)" in text


def test_those_that_are_as_good_are_named_with_what_decided(variant):
    rows = [variant("a", memory=2e8), variant("b", memory=1e8), variant("c", memory=3e8)]
    text = words(rows, SPEED, MEMORY)
    assert "**`b/torch/fp32/cpu`**" in text
    assert "cannot be told from that of `a/torch/fp32/cpu`, `c/torch/fp32/cpu`; peak memory decided." in text


def test_a_tie_that_nothing_decided_names_no_decider(variant):
    text = words([variant("a"), variant("b")], SPEED)
    assert "cannot be told from that of `b/torch/fp32/cpu`." in text
    assert "decided" not in text


def test_what_was_given_up_is_told_with_the_best_at_it(variant):
    rows = [
        variant("fast", speed=100, loss=1.2, memory=2 * 2**20),
        variant("good", speed=50, loss=1.0, memory=3 * 2**20),
        variant("fair", speed=50, loss=1.1, memory=2**20),
    ]
    given_up = words(rows, SPEED).partition("Given up: ")[2]
    assert "bits per byte (" in given_up
    assert "of `good/torch/fp32/cpu`" in given_up
    assert "peak memory (2.000 MiB against 1.000 MiB of `fair/torch/fp32/cpu`)" in given_up
    assert "decode" not in given_up


def test_a_choice_that_is_best_at_everything_gives_nothing_up(variant):
    rows = [variant("best", speed=100, loss=1.0, memory=1e8), variant("worse", speed=50, loss=1.2, memory=2e8)]
    text = words(rows, SPEED)
    assert "Nothing measured is given up for it." in text
    assert "Given up" not in text


def test_quality_that_compares_across_families_is_told_where_it_is_given_up(variant):
    rows = [
        variant("small", right=2, memory=1e8),
        variant("bert", right=4, memory=2e8, family="masked", tokenizer="tokenizer-2"),
    ]
    case = UseCase("Smallest memory", ("causal", "masked"), MEMORY)
    text = paragraph(recommend(rows, case), rows)
    given_up = text.partition("Given up: ")[2]
    assert given_up == "cloze accuracy (20.0% [12.7%, 30.0%] against 40.0% [30.0%, 51.0%] of `bert/torch/fp32/cpu`)."


def test_nothing_is_given_up_to_a_variant_that_was_excluded(variant):
    rows = [variant("mini", speed=100), variant("other", speed=50, loss=0.5, status="failed", reason="timing: no")]
    assert "Nothing measured is given up" in words(rows, SPEED)


@pytest.mark.parametrize(("memory", "told"), [(0.9 * 2**20, True), (0.96 * 2**20, False)])
def test_a_rival_that_is_better_by_less_than_five_per_cent_is_not_held_against_the_choice(variant, memory, told):
    text = words([variant("fast", speed=100, memory=2**20), variant("slow", speed=50, memory=memory)], SPEED)
    assert ("Given up: peak memory" in text) is told


def test_those_that_do_not_qualify_are_told_together_where_the_reason_is_the_same(variant):
    rows = [variant("mini"), *(variant(name, speed=None) for name in ("a", "b"))]
    assert words(rows, SPEED).endswith(
        " Not considered: `a/torch/fp32/cpu`, `b/torch/fp32/cpu` (decode_tokens_per_second was not measured)."
    )


def test_those_that_failed_or_were_skipped_are_told_as_a_number(variant):
    lost = [variant(status, status=status, reason="timing: killed") for status in ("failed", "timeout", "skipped")]
    text = words([variant("mini"), *lost], SPEED)
    assert text.endswith(" Not considered: 3 failed or skipped.")


def test_where_all_qualify_nobody_is_left_out(variant):
    assert "Not considered" not in words([variant("a"), variant("b", speed=50)], SPEED)


@pytest.mark.parametrize("objective", [SPEED, "perplexity"])
def test_without_a_recommendation_the_reason_is_told(variant, objective):
    rows = [variant("a", status="failed", reason="timing: no"), variant("b", speed=None, loss=None)]
    text = words(rows, objective)
    assert text.startswith("No recommendation: no variant of causal models qualifies. Not considered: ")
    assert text.endswith(f"`b/torch/fp32/cpu` ({objective} was not measured); 1 failed or skipped.")


def test_every_use_case_has_its_paragraph(variant):
    rows = [variant("mini"), variant("bert", family="masked")]
    cases = [UseCase("Generation", ("causal",), SPEED), UseCase("Understanding", ("masked",), QUALITY)]
    (first, one), (second, two) = paragraphs(rows, cases)
    assert (first, second) == ("Generation", "Understanding")
    assert "`mini/torch/fp32/cpu`" in one
    assert "`bert/torch/fp32/cpu`" in two
