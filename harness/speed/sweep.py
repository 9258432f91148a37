"""Speed at other prompt lengths and batch sizes than those of the main workload, on request."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.engines.base import Ids, Session
from harness.records.record import Fact
from harness.speed.timing import Timing, decode_rates, encode_rates, first_token_seconds, take_readings
from harness.speed.workloads import Clock, encode_pass, generation_pass
from harness.stats.intervals import median


def sweep(session: Session, ids: Ids, timing: Timing, clock: Clock) -> Fact | None:
    """One fact with a sample a point; None where no sweep was asked for.

    Every family is timed at ``sweep_prompt_tokens``, batch 1; masked models also at ``sweep_batch_sizes``, texts of
    ``prompt_tokens``. Sessions generate one text at a time, so other families have no batches. ``ids`` [any length] is
    real text, repeated where a point needs more. A point that does not fit the model's positions says so.
    """
    masked = session.facts.family == "masked"
    points = [(1, length) for length in timing.sweep_prompt_tokens]
    points += [(rows, timing.prompt_tokens) for rows in timing.sweep_batch_sizes if masked]
    samples = [_point(session, np.resize(ids, point), timing, clock) for point in points]
    return Fact("sweep", n=len(samples), samples=samples, protocol=_about(timing, masked)) if samples else None


def _point(session: Session, batch: Ids, timing: Timing, clock: Clock) -> dict[str, Any]:
    rows, length = batch.shape
    masked = session.facts.family == "masked"
    point: dict[str, Any] = {"batch_size": rows, "prompt_tokens": length}
    needed, limit = length + (0 if masked else timing.new_tokens), session.facts.positions
    if limit is not None and needed > limit:
        return {**point, "left_out": f"{needed:,} tokens are more than the model's {limit:,} positions"}
    if masked:
        encoded = take_readings(lambda: encode_pass(session, batch, clock), timing, clock)
        return {**point, "encode_tokens_per_second": median(encode_rates(encoded.readings))}
    taken = take_readings(lambda: generation_pass(session, batch[0], timing.new_tokens, clock), timing, clock)
    return {
        **point,
        "prefill_tokens_per_second": length / median(first_token_seconds(taken.readings)),
        "decode_tokens_per_second": median(decode_rates(taken.readings)),
    }


def _about(timing: Timing, masked: bool) -> dict[str, Any]:
    return {} if masked else {"new_tokens": timing.new_tokens, "decoding": "greedy"}
