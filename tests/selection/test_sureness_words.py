from __future__ import annotations

import pytest
from builders import make_row, scored, single, timed

from harness.selection.limits import parse_limit
from harness.selection.recommend import UseCase, recommend
from harness.selection.sureness_words import limit_sentences, resampling_sentence, weight_sentences

SPEED, QUALITY, MEMORY, SIZE = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes", "weights_bytes"


def found(*rows, objective: str = SPEED, **other):
    return recommend(rows, UseCase("x", ("causal",), objective, **other))


def made(name: str, **metrics):
    return make_row(f"{name}/torch/fp32/cpu", metrics)


def test_a_choice_that_always_wins_is_told_alone(variant):
    (text,) = resampling_sentence(found(variant("a"), variant("b", speed=50)))
    assert text == "It is the best in 100.0 % of 1,000 resamples of rounds."


def test_documents_and_rounds_are_named_as_drawn(variant):
    case = {"objective": "", "weights": ((QUALITY, 1.0), (SPEED, 1.0))}
    (text,) = resampling_sentence(found(variant("a"), variant("b", speed=50), **case))
    assert text.endswith(" resamples of documents and rounds.")
    (text,) = resampling_sentence(found(variant("a"), variant("b", loss=1.5), objective=QUALITY))
    assert text.endswith(" resamples of documents.")


def test_tied_ones_win_together(variant):
    (text,) = resampling_sentence(found(variant("a"), variant("b", speed=101, wobble=0.1), variant("c", speed=50)))
    assert text == "One of these is the best in 100.0 % of 1,000 resamples of rounds."


def test_who_wins_where_the_choice_does_not_is_named():
    """The faster one of too uncertain a memory is not recommended, and wins by value."""
    rows = [made("a", **{SPEED: timed([10.0] * 6), MEMORY: single(1e8)}),
            made("b", **{SPEED: timed([20.0] * 6), MEMORY: single(2.9e8)})]  # fmt: skip
    (text,) = resampling_sentence(found(*rows, limits=(parse_limit("peak_memory <= 300 MB"),)))
    assert text == "It is the best in 0.0 % of 1,000 resamples of rounds; otherwise `b/torch/fp32/cpu` (100.0 %)."


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (SPEED, timed([10.0] * 3), "it takes 6 rounds, and all variants share 3."),
        (QUALITY, scored(QUALITY, [300.0] * 3), "it takes 6 documents, and all variants share 3."),
    ],
)
def test_too_few_rounds_or_documents_are_told(metric, value, text):
    (sentence,) = resampling_sentence(
        found(made("a", **{metric: value}), made("b", **{metric: value}), objective=metric)
    )
    assert sentence == f"Resampling cannot tell how sure that is: {text}"


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (MEMORY, "Memory was read once, which is taken to be good to 5 %; there is nothing to resample."),
        (SIZE, "Sizes are exact: there is nothing to resample."),
    ],
)
def test_what_does_not_vary_is_told(metric, text):
    rows = [made(name, **{metric: single(value)}) for name, value in (("a", 1e8), ("b", 2e8))]
    assert resampling_sentence(found(*rows, objective=metric)) == [text]


def test_a_single_candidate_is_not_drawn_again(variant):
    assert resampling_sentence(found(variant("a"))) == []


def test_a_limit_is_told_with_the_value_that_keeps_it_and_how_far_it_is_from_changing_the_choice():
    rows = [made(name, **{SPEED: timed([speed] * 6), SIZE: single(size * 2**20)})
            for name, speed, size in (("fast", 100, 30), ("faster", 110, 40), ("slow", 50, 20))]  # fmt: skip
    assert limit_sentences(found(*rows, limits=(parse_limit("weights <= 35 MiB"),))) == [
        "Weights ≤ 35.0 MiB is kept with 30.0 MiB.",
        "With a limit below 30.0 MiB the choice would be `slow/torch/fp32/cpu`.",
        "With a limit of 40.0 MiB or more the choice would be `faster/torch/fp32/cpu`.",
    ]


def test_a_lower_limit_is_told_the_other_way_round():
    rows = [made(name, **{SPEED: timed([speed] * 6), SIZE: single(size)})
            for name, speed, size in (("small", 10, 1), ("big", 20, 2))]  # fmt: skip
    assert limit_sentences(found(*rows, objective=SIZE, limits=(parse_limit("decode >= 15"),))) == [
        "Decode ≥ 15.0 tokens/s is kept with 20.0 tokens/s.",
        "With a limit above 20.0 tokens/s no choice could be made.",
        "With a limit of 10.0 tokens/s or less the choice would be `small/torch/fp32/cpu`.",
    ]


def test_a_limit_that_may_be_missed_is_told_so(variant):
    first, *_ = limit_sentences(found(variant("a", memory=2**30), limits=(parse_limit("peak_memory <= 1 GiB"),)))
    assert first == "Peak memory ≤ 1.000 GiB may be missed: 1.000 GiB."


def test_factors_of_weights_are_told_with_who_would_score_best():
    rows = [made(name, **{SPEED: timed([speed] * 6), SIZE: single(size)})
            for name, speed, size in (("small", 100, 10), ("big", 200, 30))]  # fmt: skip
    assert weight_sentences(found(*rows, objective="", weights=((SPEED, 1.0), (SIZE, 1.0)))) == [
        "`big/torch/fp32/cpu` would score best with more than 1.585 times the weight on decode.",
        "`big/torch/fp32/cpu` would score best with less than 0.631 times the weight on weights.",
    ]
