"""How it is timed: warm up until readings agree, then take readings long enough to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from harness.engines.base import Ids, Session
from harness.errors import HarnessError
from harness.records.record import Fact
from harness.speed.disturbance import Usage, usage
from harness.speed.workloads import Clock, EncodePass, GenerationPass, encode_pass, generation_pass
from harness.stats.intervals import median, percentile

AGREEMENT = 0.05

Pass = TypeVar("Pass", GenerationPass, EncodePass)
Look = Callable[[], Usage]
"""How to see what the machine has used up to now."""


@dataclass(frozen=True)
class Timing:
    """The settings of a timing. A reading is as many passes as ``reading_seconds`` takes, at least one; a worker takes
    ``readings`` of them after at most ``warmup_seconds`` (and at least one pass) of warming up."""

    prompt_tokens: int = 128
    new_tokens: int = 64
    batch_size: int = 8
    readings: int = 3
    reading_seconds: float = 0.1
    warmup_seconds: float = 1.0
    budget_seconds: float = 10.0
    """Once this is spent on readings, no further one is begun."""
    sweep_prompt_tokens: tuple[int, ...] = ()
    sweep_batch_sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Readings(Generic[Pass]):
    """The readings of one workload, each a list of passes; the seconds of the very first pass; how many passes the
    warm-up took and whether its last two agreed; and what was used while readings were taken."""

    readings: list[list[Pass]]
    first_seconds: float
    warmup_passes: int
    warmup_agreed: bool
    spent: Usage

    @property
    def warmup(self) -> dict[str, Any]:
        """The warm-up, as records keep it."""
        return {"passes": self.warmup_passes, "agreed": self.warmup_agreed}


@dataclass(frozen=True)
class Timed:
    """What one worker measured: its facts, the warm-up of each workload, and what was used during readings."""

    facts: list[Fact]
    warmup: dict[str, dict[str, Any]]
    spent: Usage


def time_session(session: Session, prompt: Ids, batch: Ids, timing: Timing, clock: Clock, look: Look = usage) -> Timed:
    """All speed metrics of one worker: the medians over its readings, as the samples of one round.

    ``prompt`` is real text [prompt_tokens], ``batch`` real text [batch_size, prompt_tokens]. ``look`` is called before
    and after the readings of each workload.
    """
    protocol: dict[str, Any] = {"prompt_tokens": len(prompt), "batch_size": 1}
    if session.facts.family == "masked":
        single = take_readings(lambda: encode_pass(session, prompt[np.newaxis], clock), timing, clock, look)
        wide = take_readings(lambda: encode_pass(session, batch, clock), timing, clock, look)
        facts = _encoding_facts(single, wide, len(batch), protocol)
        return Timed(facts, {"encode": single.warmup, "encode_batch": wide.warmup}, single.spent + wide.spent)
    taken = take_readings(lambda: generation_pass(session, prompt, timing.new_tokens, clock), timing, clock, look)
    protocol |= {"new_tokens": timing.new_tokens, "decoding": "greedy"}
    return Timed(_generation_facts(taken, protocol), {"generation": taken.warmup}, taken.spent)


def _generation_facts(taken: Readings[GenerationPass], protocol: dict[str, Any]) -> list[Fact]:
    first = first_token_seconds(taken.readings)
    prompt = taken.readings[0][0].prompt_tokens
    between = [seconds for reading in taken.readings for each in reading for seconds in each.between_tokens_seconds]
    return [
        _fact("time_to_first_token_seconds", first, protocol),
        _fact("prefill_tokens_per_second", [prompt / _positive(seconds) for seconds in first], protocol),
        _fact("decode_tokens_per_second", decode_rates(taken.readings), protocol),
        *(_percentile_fact(f"inter_token_seconds_p{share}", between, share, protocol) for share in (50, 95, 99)),
        _fact("first_call_seconds", [taken.first_seconds], protocol),
    ]


def _encoding_facts(
    single: Readings[EncodePass], wide: Readings[EncodePass], rows: int, protocol: dict[str, Any]
) -> list[Fact]:
    latencies = [each.seconds for reading in single.readings for each in reading]
    return [
        _fact("encode_tokens_per_second", encode_rates(single.readings), protocol),
        _fact("encode_batch_tokens_per_second", encode_rates(wide.readings), {**protocol, "batch_size": rows}),
        *(_percentile_fact(f"latency_seconds_p{share}", latencies, share, protocol) for share in (50, 95, 99)),
        _fact("first_call_seconds", [single.first_seconds], protocol),
    ]


def first_token_seconds(readings: list[list[GenerationPass]]) -> list[float]:
    """Time to first token of each reading: the median over its passes."""
    return [median([each.first_token_seconds for each in reading]) for reading in readings]


def decode_rates(readings: list[list[GenerationPass]]) -> list[float]:
    """Decoded tokens/s of each reading."""
    return [
        sum(len(p.between_tokens_seconds) for p in r) / _positive(sum(sum(p.between_tokens_seconds) for p in r))
        for r in readings
    ]


def encode_rates(readings: list[list[EncodePass]]) -> list[float]:
    """Encoded tokens/s of each reading."""
    return [sum(each.tokens for each in r) / _positive(sum(each.seconds for each in r)) for r in readings]


def take_readings(run: Callable[[], Pass], timing: Timing, clock: Clock, look: Look = usage) -> Readings[Pass]:
    """Warm up until two passes in a row agree, then take the readings."""
    began = clock()
    first = previous = run()
    passes, agreed = 1, False
    while not agreed and clock() - began < timing.warmup_seconds:
        current = run()
        passes += 1
        agreed = abs(current.seconds - previous.seconds) <= AGREEMENT * max(current.seconds, previous.seconds)
        previous = current
    before = look()
    began = clock()
    readings: list[list[Pass]] = []
    while len(readings) < timing.readings and (not readings or clock() - began < timing.budget_seconds):
        reading: list[Pass] = []
        while sum(each.seconds for each in reading) < timing.reading_seconds:
            reading.append(run())
            _positive(reading[-1].seconds)
        readings.append(reading)
    return Readings(readings, first.seconds, passes, agreed, look() - before)


def _percentile_fact(metric: str, seconds: list[float], share: int, protocol: dict[str, Any]) -> Fact:
    return Fact(metric=metric, value=percentile(seconds, share / 100), n=len(seconds), protocol=protocol)


def _fact(metric: str, readings: list[float], protocol: dict[str, Any]) -> Fact:
    return Fact(metric=metric, value=median(readings), n=len(readings), samples=readings, protocol=protocol)


def _positive(seconds: float) -> float:
    if not seconds > 0:
        raise HarnessError(f"a pass took {seconds} s: the clock is not to be trusted")
    return seconds
