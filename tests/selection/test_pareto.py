from __future__ import annotations

import time

import numpy as np
import pytest
from builders import make_row, scored, single, timed

from harness.selection.pareto import Dominance, axes, dominated_by, front
from harness.selection.recommend import UseCase

SPEED, QUALITY, MEMORY, SIZE = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes", "weights_bytes"


def names(rows) -> list[str]:
    return [row.subject.candidate for row in rows]


def test_the_front_holds_those_that_nobody_beats_at_everything(variant):
    rows = [
        variant("fast", speed=200, loss=1.2),
        variant("good", speed=100, loss=1.0),
        variant("between", speed=150, loss=1.1),
        variant("worse", speed=90, loss=1.1),
    ]
    assert names(front(rows, (SPEED, QUALITY))) == ["fast", "good", "between"]


def test_it_is_said_who_dominates(variant):
    fast, worse = variant("fast", speed=200), variant("worse", speed=100)
    assert dominated_by(worse, [fast, worse], (SPEED, QUALITY)) is fast
    assert dominated_by(fast, [fast, worse], (SPEED, QUALITY)) is None


def test_what_cannot_be_told_apart_stays_on_the_front(variant):
    rows = [variant("a", speed=100), variant("b", speed=101, wobble=0.1), variant("c", speed=102, wobble=-0.1)]
    assert names(front(rows, (SPEED,))) == ["a", "b", "c"]


def test_a_value_that_is_worse_by_the_least_keeps_a_row_on_the_front(variant):
    """Its speed cannot be told from the other's, but is better by its value, so the other is not at least as good."""
    small, big = variant("small", speed=99.9, memory=1e8), variant("big", speed=100, memory=2e8)
    assert names(front([small, big], (SPEED, MEMORY))) == ["small", "big"]


def test_equal_values_dominate_nothing(variant):
    rows = [variant("a", memory=1e8), variant("b", memory=1e8)]
    assert len(front(rows, (SPEED, MEMORY))) == 2


def test_a_row_without_one_of_the_metrics_is_neither_on_the_front_nor_dominated(variant):
    rows = [variant("a", speed=100, memory=1e8), variant("b", speed=50)]
    assert names(front(rows, (SPEED, MEMORY))) == ["a"]
    assert dominated_by(rows[1], rows, (SPEED, MEMORY)) is None


def test_perplexities_of_different_tokenizers_are_not_held_against_each_other(variant):
    rows = [variant("a", loss=1.0), variant("b", loss=2.0, tokenizer="tokenizer-2"), variant("c", loss=2.0)]
    assert names(front(rows, ("perplexity", SPEED))) == ["a", "b"]
    assert names(front(rows, (QUALITY, SPEED))) == ["a"]


def test_where_doubt_breaks_the_chain_the_front_still_dominates_all_others():
    """a beats b surely and b beats c surely, in size each; a and c cannot be told apart in speed, and equal in size:
    then c is beaten by b alone, which is not on the front, and c stays."""

    def made(name, size, readings):
        return make_row(f"{name}/torch/fp32/cpu", {SIZE: single(size), SPEED: timed(readings)})

    a = made("a", 1.0, [103.0, 103.0, 103.0, 103.0, 103.0, 97.0])
    b = made("b", 2.0, [102.0, 102.0, 102.0, 102.0, 102.0, 102.0])
    c = made("c", 1.0, [101.0, 101.0, 101.0, 101.0, 101.0, 101.0])
    assert names(front([a, b, c], (SIZE, SPEED))) == ["a", "c"]
    assert dominated_by(c, [b], (SPEED,)) is b


@pytest.mark.parametrize(
    ("families", "expected"),
    [
        (("causal",), (QUALITY, SIZE, SPEED, MEMORY)),
        (("causal", "seq2seq"), (QUALITY, SIZE, SPEED, MEMORY)),
        (("masked",), (QUALITY, SIZE, "encode_tokens_per_second", MEMORY)),
        (("causal", "masked"), (QUALITY, SIZE, MEMORY)),
    ],
)
def test_the_axes_are_what_is_wanted_what_breaks_ties_speed_and_memory(families, expected):
    metrics = (QUALITY, SIZE, SPEED, "encode_tokens_per_second", MEMORY)
    rows = [make_row(metrics=dict.fromkeys(metrics, single(1.0)))]
    assert axes(UseCase("x", families, QUALITY, (SIZE,)), rows) == expected


def test_what_nobody_has_is_no_axis():
    assert axes(UseCase("x", ("causal",), SPEED), [make_row(metrics={SPEED: single(1.0)})]) == (SPEED,)


def test_dominators_of_a_few_are_those_of_all(variant):
    rng = np.random.default_rng(3)
    rows = [variant(f"v{at}", speed=s, loss=q) for at, (s, q) in enumerate(rng.uniform(1, 3, size=(40, 2)))]
    dominance = Dominance(rows, (SPEED, QUALITY))
    everyone = dominance.dominators()
    for at in range(40):
        assert (at in dominance.dominators(of=[at])) is (at in everyone)


def test_five_hundred_rows_take_less_than_a_second():
    """A tenth of that on the machine that it was written on."""
    rng = np.random.default_rng(0)
    nats = rng.uniform(250, 350, size=25)
    rows = [
        make_row(
            f"v{at}/torch/fp32/cpu",
            {
                QUALITY: scored(QUALITY, (nats * rng.uniform(1, 2) * rng.uniform(0.95, 1.05, 25)).tolist()),
                SPEED: timed((100 * rng.uniform(1, 2) * rng.uniform(0.95, 1.05, 6)).tolist()),
                MEMORY: single(float(rng.uniform(1e8, 2e8))),
            },
        )
        for at in range(500)
    ]
    began = time.perf_counter()
    found = front(rows, (QUALITY, SPEED, MEMORY))
    assert time.perf_counter() - began < 1
    assert 0 < len(found) < 100
