"""Timing on a session and a clock that are made up, so that every number is known."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from harness.engines.base import SessionFacts, Weights
from harness.errors import HarnessError
from harness.speed.control import control_seconds
from harness.speed.disturbance import Usage
from harness.speed.memory import memory_of, unique_memory
from harness.speed.timing import Timing, time_session
from harness.speed.workloads import generation_pass

PROMPT = np.arange(100)


class Clock:
    """Moves only when work is done."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Steady:
    """Prefills in 0.5 s and steps in 0.01 s, after first calls that take ten times as long."""

    def __init__(self, clock: Clock, family: str = "causal", slow_calls: int = 0) -> None:
        self.clock, self.slow_calls = clock, slow_calls
        self.facts = SessionFacts(family, 50, Weights(1000), "cpu", 200)
        self.steps = 0

    def _spend(self, seconds: float) -> np.ndarray:
        self.clock.now += seconds * (10 if self.slow_calls > 0 else 1)
        self.slow_calls -= 1
        return np.zeros(50, dtype=np.float32)

    def prefill(self, ids: np.ndarray, room: int) -> np.ndarray:
        return self._spend(0.5)

    def step(self, token: int) -> np.ndarray:
        self.steps += 1
        return self._spend(0.01)

    def encode(self, ids: np.ndarray) -> None:
        self._spend(0.001 * ids.size)


def _timed(session: Steady, clock: Clock, timing: Timing) -> dict[str, float]:
    timed = time_session(session, PROMPT, np.tile(PROMPT, (8, 1)), timing, clock)
    return {fact.metric: fact.value for fact in timed.facts}


def test_generation_metrics_follow_their_definitions():
    clock = Clock()
    found = _timed(Steady(clock), clock, Timing(new_tokens=11))
    assert found["time_to_first_token_seconds"] == pytest.approx(0.5)
    assert found["prefill_tokens_per_second"] == pytest.approx(100 / 0.5)
    assert found["decode_tokens_per_second"] == pytest.approx(1 / 0.01)
    assert found["inter_token_seconds_p50"] == pytest.approx(0.01)


def test_n_tokens_take_one_prefill_and_n_minus_one_steps():
    clock = Clock()
    session = Steady(clock)
    found = generation_pass(session, PROMPT, 16, clock)
    assert session.steps == 15
    assert len(found.between_tokens_seconds) == 15


def test_encoding_metrics_follow_their_definitions():
    clock = Clock()
    found = _timed(Steady(clock, "masked"), clock, Timing())
    assert found["encode_tokens_per_second"] == pytest.approx(1000)
    assert found["encode_batch_tokens_per_second"] == pytest.approx(1000)
    assert found["latency_seconds_p50"] == pytest.approx(0.1)
    assert "decode_tokens_per_second" not in found


def test_the_first_call_is_told_apart_and_does_not_enter_the_readings():
    clock = Clock()
    found = _timed(Steady(clock, slow_calls=11), clock, Timing(new_tokens=11, warmup_seconds=30))
    assert found["first_call_seconds"] == pytest.approx(6.0)
    assert found["decode_tokens_per_second"] == pytest.approx(100)


def test_a_prompt_that_does_not_fit_is_refused():
    clock = Clock()
    with pytest.raises(HarnessError, match="200 positions"):
        generation_pass(Steady(clock), PROMPT, 101, clock)


def test_a_clock_that_stands_still_is_an_error_and_not_an_infinite_speed():
    session = Steady(Clock())
    with pytest.raises(HarnessError, match="clock"):
        time_session(session, PROMPT, PROMPT[np.newaxis], Timing(new_tokens=4), lambda: 1.0)


def test_no_reading_is_begun_after_the_budget():
    clock = Clock()
    timed = time_session(Steady(clock), PROMPT, PROMPT[np.newaxis], Timing(readings=50, budget_seconds=2.0), clock)
    assert {fact.metric: fact.n for fact in timed.facts}["decode_tokens_per_second"] == 2


def test_the_warm_up_says_how_many_passes_it_took_until_two_agreed():
    clock = Clock()
    timed = time_session(
        Steady(clock, slow_calls=11), PROMPT, PROMPT[np.newaxis], Timing(new_tokens=11, warmup_seconds=30), clock
    )
    assert timed.warmup == {"generation": {"passes": 3, "agreed": True}}


def test_a_warm_up_without_time_is_one_pass_that_agrees_with_none():
    clock = Clock()
    timed = time_session(Steady(clock, "masked"), PROMPT, PROMPT[np.newaxis], Timing(warmup_seconds=0), clock)
    assert timed.warmup == {name: {"passes": 1, "agreed": False} for name in ("encode", "encode_batch")}


def test_what_was_used_is_seen_around_the_readings_of_each_workload_and_not_around_the_warm_up():
    clock = Clock()
    timing = Timing(readings=2, reading_seconds=0.05, warmup_seconds=0)
    batch = np.tile(PROMPT, (3, 1))
    timed = time_session(Steady(clock, "masked"), PROMPT, batch, timing, clock, lambda: Usage(2, clock(), clock()))
    assert timed.spent.seconds == timed.spent.own == pytest.approx(2 * 0.1 + 2 * 0.3)


def test_the_control_workload_takes_time():
    assert control_seconds(time.perf_counter) > 0


def test_memory_of_a_process_is_seen_with_its_children():
    # the grandchild fills 60 MB; the child holds little
    inner = "x = bytearray(60_000_000); x[:] = b'1' * len(x); print('ready', flush=True); input()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert unique_memory(process.pid) > 60_000_000
        assert memory_of(process.pid).proportional > 60_000_000
        process.communicate("\n")
    assert unique_memory(process.pid) == 0


@pytest.mark.parametrize("family", ["causal", "masked"])
def test_a_pass_that_took_no_time_is_an_error_and_no_speed(family: str):
    clock = Clock()
    session = Steady(clock, family)
    session._spend = lambda seconds: np.zeros(50, dtype=np.float32)
    with pytest.raises(HarnessError, match=r"a pass took 0\.0 s: the clock is not to be trusted"):
        time_session(session, PROMPT, PROMPT[np.newaxis], Timing(warmup_seconds=0), clock)
