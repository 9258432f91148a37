"""How it is timed: warm up until readings agree, then take readings long enough to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from harness.engines.base import Ids, Session
from harness.errors import HarnessError
from harness.records.record import Fact
from harness.speed.workloads import Clock, EncodePass, GenerationPass, encode_pass, generation_pass
from harness.stats.intervals import median, percentile

AGREEMENT = 0.05

Pass = TypeVar("Pass", GenerationPass, EncodePass)


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


def time_session(session: Session, prompt: Ids, batch: Ids, timing: Timing, clock: Clock) -> list[Fact]:
    """All speed metrics of one worker: the medians over its readings, as the samples of one round.

    ``prompt`` is real text [prompt_tokens], ``batch`` real text [batch_size, prompt_tokens].
    """
    protocol: dict[str, Any] = {"prompt_tokens": len(prompt), "batch_size": 1}
    if session.facts.family == "masked":
        return _time_encoding(session, prompt[np.newaxis], batch, timing, clock, protocol)
    passes, first = _readings(lambda: generation_pass(session, prompt, timing.new_tokens, clock), timing, clock)
    protocol |= {"new_tokens": timing.new_tokens, "decoding": "greedy"}
    return [*_generation_facts(passes, protocol), _fact("first_call_seconds", [first], protocol)]


def _generation_facts(readings: list[list[GenerationPass]], protocol: dict[str, Any]) -> list[Fact]:
    first = [median([each.first_token_seconds for each in reading]) for reading in readings]
    decode = [
        sum(len(p.between_tokens_seconds) for p in r) / _positive(sum(sum(p.between_tokens_seconds) for p in r))
        for r in readings
    ]
    prompt = readings[0][0].prompt_tokens
    between = [seconds for reading in readings for each in reading for seconds in each.between_tokens_seconds]
    return [
        _fact("time_to_first_token_seconds", first, protocol),
        _fact("prefill_tokens_per_second", [prompt / _positive(seconds) for seconds in first], protocol),
        _fact("decode_tokens_per_second", decode, protocol),
        *(_percentile_fact(f"inter_token_seconds_p{share}", between, share, protocol) for share in (50, 95, 99)),
    ]


def _time_encoding(
    session: Session, single: Ids, batch: Ids, timing: Timing, clock: Clock, protocol: dict[str, Any]
) -> list[Fact]:
    readings, first = _readings(lambda: encode_pass(session, single, clock), timing, clock)
    batched, _ = _readings(lambda: encode_pass(session, batch, clock), timing, clock)
    latencies = [each.seconds for reading in readings for each in reading]
    wide = {**protocol, "batch_size": len(batch)}
    return [
        _fact("encode_tokens_per_second", [_rate(reading) for reading in readings], protocol),
        _fact("encode_batch_tokens_per_second", [_rate(reading) for reading in batched], wide),
        *(_percentile_fact(f"latency_seconds_p{share}", latencies, share, protocol) for share in (50, 95, 99)),
        _fact("first_call_seconds", [first], protocol),
    ]


def _rate(reading: list[EncodePass]) -> float:
    return sum(each.tokens for each in reading) / _positive(sum(each.seconds for each in reading))


def _readings(run: Callable[[], Pass], timing: Timing, clock: Clock) -> tuple[list[list[Pass]], float]:
    """Warm up until two passes in a row agree, then take the readings; also the seconds of the very first pass."""
    began = clock()
    first = previous = run()
    while clock() - began < timing.warmup_seconds:
        current = run()
        agree = abs(current.seconds - previous.seconds) <= AGREEMENT * max(current.seconds, previous.seconds)
        previous = current
        if agree:
            break
    began = clock()
    readings: list[list[Pass]] = []
    while len(readings) < timing.readings and (not readings or clock() - began < timing.budget_seconds):
        reading: list[Pass] = []
        while sum(each.seconds for each in reading) < timing.reading_seconds:
            reading.append(run())
            _positive(reading[-1].seconds)
        readings.append(reading)
    return readings, first.seconds


def _percentile_fact(metric: str, seconds: list[float], share: int, protocol: dict[str, Any]) -> Fact:
    return Fact(metric=metric, value=percentile(seconds, share / 100), n=len(seconds), protocol=protocol)


def _fact(metric: str, readings: list[float], protocol: dict[str, Any]) -> Fact:
    return Fact(metric=metric, value=median(readings), n=len(readings), samples=readings, protocol=protocol)


def _positive(seconds: float) -> float:
    if not seconds > 0:
        raise HarnessError(f"a pass took {seconds} s: the clock is not to be trusted")
    return seconds
