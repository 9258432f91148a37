"""One block: workers that are opened together, take turns in palindromes and are closed, with sides made up."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from harness.ab.blocks import Arm, ArmError, measure_block
from harness.errors import HarnessError
from harness.records.blocks import AGAIN, BASE, NEW
from harness.speed.timing import Timing

VARIANT = "mini/torch/fp32/cpu"
TIMING = Timing(prompt_tokens=10, new_tokens=3, budget_seconds=1.0)


class Side:
    """Answers as a side does. ``seconds`` is what each part of a pass takes, ``fails`` which command of which worker
    fails; ``log`` is shared between sides."""

    def __init__(self, name: str, log: list, seconds: float = 0.01) -> None:
        self.name, self.log, self.seconds = name, log, seconds
        self.fails = lambda do, worker: False
        self.resident: float | None = 5e6
        self.opened = 0
        self.closed: list[int] = []

    def ask(self, do, **words):
        number = self.opened + 1 if do == "open" else words["worker"]
        self.log.append((do, self.name, number))
        if self.fails(do, number):
            raise HarnessError("no kernel")
        if do == "open":
            self.opened += 1
            self.slower = words["slower"]
            return {"worker": number, "load_seconds": 0.5, "pass_seconds": 0.05, "peak_resident_bytes": self.resident}
        if do == "turn":
            parts = {"prefill": [self.seconds], "decode": [self.seconds, 2 * self.seconds]}
            return {"passes": [parts] * words["passes"]}
        self.closed.append(number)
        return {}


@pytest.fixture
def sides(monkeypatch):
    """Base and a new side that is twice as slow, on a quiet machine."""
    monkeypatch.setattr("harness.ab.blocks.control_seconds", lambda clock: 0.01)
    monkeypatch.setattr("harness.ab.blocks.disturbance", lambda before, after: ())
    log: list = []
    return Side("base side", log), Side("new side", log, seconds=0.02)


def measured(sides, seed: int = 0, **other):
    base, new = sides
    arms = [Arm(BASE, base), Arm(AGAIN, base), Arm(NEW, new)]
    return measure_block(VARIANT, 3, arms, TIMING, random.Random(seed), **other)


def test_a_block_has_the_speeds_of_every_arm(sides):
    block = measured(sides)
    assert (block.variant, block.number, block.stage) == (VARIANT, 3, "look")
    base = {"prefill_tokens_per_second": 1000.0, "decode_tokens_per_second": pytest.approx(2 / 0.03)}
    both = {"load_seconds": 0.5, "peak_resident_bytes": 5e6}
    assert block.arms[BASE] == block.arms[AGAIN] == {**base, **both}
    assert block.arms[NEW]["prefill_tokens_per_second"] == 500.0


def test_memory_that_the_system_does_not_tell_is_left_out(sides):
    sides[0].resident = None
    assert "peak_resident_bytes" not in measured(sides).metrics


def test_all_workers_are_open_before_the_first_turn_and_closed_after_the_last(sides):
    measured(sides)
    done = [do for do, *_ in sides[0].log]
    assert done == ["open"] * 3 + ["turn"] * (len(done) - 6) + ["close"] * 3


@pytest.mark.parametrize("seed", range(5))
def test_turns_are_palindromes(sides, seed):
    block = measured(sides, seed)
    turns = [(name, number) for do, name, number in sides[0].log if do == "turn"]
    assert len(turns) == 3 * block.turns
    for start in range(0, len(turns), 6):
        there, back = turns[start : start + 3], turns[start + 3 : start + 6]
        assert there == back[::-1]
        assert len(set(there)) == 3


def test_every_worker_does_the_same_number_of_turns(sides):
    block = measured(sides)
    counts = Counter((name, number) for do, name, number in sides[0].log if do == "turn")
    assert set(counts.values()) == {block.turns} == {20}


def test_the_order_changes_from_palindrome_to_palindrome(sides):
    measured(sides)
    turns = [(name, number) for do, name, number in sides[0].log if do == "turn"]
    assert len({tuple(turns[start : start + 3]) for start in range(0, len(turns), 6)}) > 2


def test_workers_are_loaded_in_an_order_that_the_block_tells(sides):
    orders = {measured(sides, seed).order for seed in range(20)}
    assert len(orders) == 6
    assert all(sorted(each) == [AGAIN, BASE, NEW] for each in orders)


def test_an_arm_may_be_slower_by_a_share(sides):
    base, new = sides
    measure_block(VARIANT, 0, [Arm("same", base, 0.0), Arm("slower", new, 0.1)], TIMING, random.Random(0))
    assert (base.slower, new.slower) == (0.0, 0.1)


def test_what_disturbed_a_block_is_told(sides, monkeypatch):
    monkeypatch.setattr("harness.ab.blocks.disturbance", lambda before, after: ("throttled",))
    assert measured(sides).disturbed == ("throttled",)


def test_the_control_is_timed_before_and_after(sides):
    assert measured(sides, stage="confirm").control_seconds == (0.01, 0.01)


@pytest.mark.parametrize("do", ["open", "turn", "close"])
def test_a_failure_names_its_arm(sides, do):
    sides[1].fails = lambda command, worker: command == do
    with pytest.raises(ArmError, match=r"^no kernel$") as error:
        measured(sides)
    assert error.value.arm.name == NEW


@pytest.mark.parametrize("do", ["open", "turn"])
def test_after_a_failure_the_workers_of_other_arms_are_closed(sides, do):
    base, new = sides
    new.fails = lambda command, worker: command == do
    with pytest.raises(ArmError):
        measured(sides)
    assert sorted(base.closed) == list(range(1, base.opened + 1))
