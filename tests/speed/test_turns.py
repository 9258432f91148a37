"""Turns: how many, of how many passes, and the speeds of what they took."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.base import SessionFacts, Weights
from harness.speed.timing import Timing
from harness.speed.turns import TURN_SECONDS, TURNS, fastest, one_pass, passes_a_turn, rates, turns_a_block

SECONDS = st.floats(min_value=0, max_value=1e4)


class Stepping:
    """A session whose every call takes a second longer than the one before, on the clock that it is."""

    def __init__(self, family: str) -> None:
        self.facts = SessionFacts(family, 10, Weights(100), "cpu", 200)
        self.now, self.calls, self.widths = 0.0, 0, []

    def __call__(self) -> float:
        return self.now

    def _spend(self) -> np.ndarray:
        self.calls += 1
        self.now += self.calls
        return np.zeros(10, dtype=np.float32)

    def prefill(self, ids, room):
        return self._spend()

    def step(self, token):
        return self._spend()

    def encode(self, ids):
        self.widths.append(ids.shape)
        self._spend()


def passed(family: str) -> tuple[dict[str, list[float]], Stepping]:
    session = Stepping(family)
    prompt, batch = np.arange(16), np.tile(np.arange(16), (8, 1))
    return one_pass(session, prompt, batch, Timing(prompt_tokens=16, new_tokens=4), session), session


# passes


@pytest.mark.parametrize("family", ["causal", "seq2seq"])
def test_a_pass_of_a_model_that_generates_is_a_prefill_and_its_steps(family):
    assert passed(family)[0] == {"prefill": [1.0], "decode": [2.0, 3.0, 4.0]}


def test_a_pass_of_a_masked_model_encodes_one_row_and_a_batch():
    parts, session = passed("masked")
    assert parts == {"encode": [1.0], "encode_batch": [2.0]}
    assert session.widths == [(1, 16), (8, 16)]


# how many


@pytest.mark.parametrize(
    ("pass_seconds", "passes"), [(0.0, 30_000), (0.001, 30), (0.01, 3), (0.03, 1), (0.2, 1), (60.0, 1)]
)
def test_a_turn_has_the_passes_that_fill_it(pass_seconds, passes):
    assert passes_a_turn(pass_seconds) == passes


@pytest.mark.parametrize(
    ("pass_seconds", "budget", "turns"),
    [
        (0.01, 10.0, 20),
        (0.01, 0.5, 16),
        (0.01, 0.45, 14),
        (0.01, 0.0, 2),
        (1.0, 10.0, 10),
        (3.0, 10.0, 2),
        (60.0, 10.0, 2),
    ],
)
def test_a_block_has_the_turns_that_the_budget_allows(pass_seconds, budget, turns):
    assert turns_a_block(pass_seconds, budget) == turns


@given(SECONDS, SECONDS)
def test_turns_come_in_palindromes(pass_seconds, budget):
    turns = turns_a_block(pass_seconds, budget)
    assert turns % 2 == 0
    assert 2 <= turns <= TURNS


@given(SECONDS, SECONDS)
def test_more_than_two_turns_stay_in_the_budget(pass_seconds, budget):
    turns = turns_a_block(pass_seconds, budget)
    assert turns == 2 or turns * passes_a_turn(pass_seconds) * pass_seconds <= budget * (1 + 1e-9)


@given(st.floats(min_value=1e-6, max_value=TURN_SECONDS))
def test_a_turn_takes_about_its_time(pass_seconds):
    assert passes_a_turn(pass_seconds) * pass_seconds == pytest.approx(TURN_SECONDS, rel=0.34)


# the fastest steps


def test_the_fastest_pass_is_put_together_step_by_step():
    passes = [{"prefill": [3.0], "decode": [1.0, 5.0]}, {"prefill": [2.0], "decode": [4.0, 2.0]}]
    assert fastest(passes) == {"prefill": [2.0], "decode": [1.0, 2.0]}


def test_one_pass_is_its_own_fastest():
    assert fastest(iter([{"encode": [1.0]}])) == {"encode": [1.0]}


def test_passes_of_different_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        fastest([{"decode": [1.0, 2.0]}, {"decode": [1.0]}])


def test_no_passes_are_refused():
    with pytest.raises(ValueError, match="no passes"):
        fastest([])


@given(st.lists(st.lists(st.floats(0.001, 10), min_size=3, max_size=3), min_size=1, max_size=6))
def test_no_pass_is_faster_than_the_fastest(rows):
    found = fastest([{"decode": row} for row in rows])["decode"]
    assert all(one <= each for row in rows for one, each in zip(found, row, strict=True))


# speeds


def test_speeds_of_a_generation_follow_their_definitions():
    found = rates({"prefill": [0.5], "decode": [0.1, 0.2, 0.3]}, Timing(prompt_tokens=100, new_tokens=4))
    assert found == {
        "prefill_tokens_per_second": pytest.approx(200.0),
        "decode_tokens_per_second": pytest.approx(5.0),
    }


def test_speeds_of_encoding_follow_their_definitions():
    found = rates({"encode": [0.5], "encode_batch": [2.0]}, Timing(prompt_tokens=100, batch_size=8))
    assert found == {"encode_tokens_per_second": 200.0, "encode_batch_tokens_per_second": 400.0}
