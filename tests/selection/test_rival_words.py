from __future__ import annotations

import pytest
from builders import make_row, timed

from harness.language.say import speaking
from harness.selection.limits import parse_limit
from harness.selection.recommend import UseCase, recommend
from harness.selection.words import rivals

SPEED, QUALITY, MEMORY = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes"


def why(rows, *tie_breakers: str, objective: str = SPEED, **other) -> dict[str, str]:
    """Why each lost, by candidate."""
    case = UseCase("x", ("causal",), objective, tie_breakers, **other)
    return {name.partition("/")[0]: text for name, text in rivals(recommend(rows, case), rows)}


def test_every_other_variant_of_the_families_has_a_line(variant):
    rows = [variant("a"), variant("b", speed=50), variant("c", status="failed", reason="no"),
            variant("d", family="masked")]  # fmt: skip
    assert list(why(rows)) == ["b", "c"]


def test_a_rival_that_is_worse_is_told_by_how_much(variant):
    text = why([variant("a"), variant("b", speed=80, memory=1e7)])["b"]
    assert text.startswith("Its decode is 80.0 [77.6, 82.4] tokens/s; that of the choice is 25.0 % higher.")


def test_a_rival_at_a_metric_that_should_be_low_is_told_how_much_lower_the_choice_is(variant):
    text = why([variant("a"), variant("b", loss=1.25)], objective=QUALITY)["b"]
    assert "; that of the choice is 20.0 % lower." in text


def test_who_dominates_a_rival_is_named(variant):
    rows = [
        variant("fast", speed=200, memory=2e8),
        variant("small", memory=1e8),
        variant("bad", memory=1.9e8, speed=99),
    ]
    text = why(rows)["bad"]
    assert text.endswith(
        "Dominated by `small/torch/fp32/cpu`: no worse at decode, peak memory, and surely better at one."
    )
    rows = [variant("fast", speed=200, memory=1e8), variant("bad", memory=1.9e8, speed=99)]
    assert "Dominated by the choice: no worse at" in why(rows)["bad"]


def test_a_rival_that_is_as_good_is_told_with_what_decided(variant):
    text = why([variant("a", memory=2 * 2**20), variant("b", memory=2**20)], MEMORY)["a"]
    assert text.startswith("As good: 100.0 [97.0, 103.0] tokens/s, and the choice is at 1.000 times that.")
    assert "Its peak memory is 2.000 MiB, that of the choice 1.000 MiB." in text


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"memory": 200 * 2**20}, "It misses peak memory ≤ 100 MiB: 200 MiB."),
        ({"memory": 101 * 2**20}, "It is uncertain whether it keeps peak memory ≤ 100 MiB: 101 MiB."),
        ({"memory": None}, "Its peak memory was not measured, so peak memory ≤ 100 MiB cannot be checked."),
        ({"speed": None}, "Its decode was not measured."),
        ({"status": "skipped", "reason": "no *stars*"}, r"skipped: no \*stars\*"),
        (
            {"ratio": 1.5},
            "It is not the model that it was made from: its perplexity is +50.00 % against fp32 torch, more than "
            "0.1 %.",
        ),
    ],
)
def test_a_rival_that_did_not_qualify_is_told_why(variant, bad, text):
    rows = [variant("good", speed=10, memory=2**20), variant("bad", **{"memory": 2**20} | bad)]
    assert why(rows, limits=(parse_limit("peak_memory <= 100 MiB"),))["bad"] == text


def test_a_rival_that_misses_a_limit_by_too_few_readings_is_told_so():
    rows = [make_row(f"{name}/torch/fp32/cpu", {SPEED: timed([speed] * 3)}) for name, speed in (("a", 9), ("b", 18))]
    text = why(rows, limits=(parse_limit("decode >= 10"),))["a"]
    assert text == "It misses decode ≥ 10.0 tokens/s by its value, of too few readings for an interval: 9.000 tokens/s."


def test_the_share_of_resamples_that_a_rival_wins_is_told(variant):
    text = why([variant("a"), variant("b", speed=100.5, wobble=0.05)])
    (line,) = text.values()
    assert " % of the resamples." in line


def test_weighed_rivals_are_told_with_all_values(variant):
    rows = [variant("a"), variant("b", speed=50)]
    text = why(rows, objective="", weights=((QUALITY, 1.0), (SPEED, 1.0)))["b"]
    assert text.startswith("All weighed (bits per byte 1.1")
    assert "the choice is 41.4 % better." in text


def test_reasons_are_told_in_the_language_that_is_spoken(variant):
    """Whatever is translated, nothing breaks: every sentence has the places that its translation names."""
    rows = [variant("a", memory=1e8), variant("b", speed=50), variant("c", memory=1e10), variant("d", ratio=2.0)]
    with speaking("fr"):
        assert len(why(rows, limits=(parse_limit("peak_memory <= 1 GiB"),))) == 3
