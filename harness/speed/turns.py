"""Several workers measured at once: each in its turn does some passes while the others wait.

What a pass takes is the cost of the program plus whatever the machine was busy with, so the fastest time of each of its
steps over many passes, spread over seconds, is the best estimate of the cost (Chen & Revels 2016, arXiv 1608.04295). A
median would do on a quiet machine; where another machine shares the cores it jumps between two speeds.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from harness.engines.base import Ids, Session
from harness.speed.timing import Timing
from harness.speed.workloads import Clock, encode_pass, generation_pass

Parts = dict[str, list[float]]
"""The parts of one pass by name, each with the seconds of its steps in order."""

TURN_SECONDS = 0.03
"""What a turn takes, about; a longer pass is a turn by itself."""
TURNS = 20
"""Turns of a worker in a block, at most; fewer where the budget does not allow them."""


def one_pass(session: Session, prompt: Ids, batch: Ids, timing: Timing, clock: Clock) -> Parts:
    """Do a variant's workload once: ``prompt`` [prompt_tokens], ``batch`` [batch_size, prompt_tokens]."""
    if session.facts.family == "masked":
        single, wide = encode_pass(session, prompt[np.newaxis], clock), encode_pass(session, batch, clock)
        return {"encode": [single.seconds], "encode_batch": [wide.seconds]}
    found = generation_pass(session, prompt, timing.new_tokens, clock)
    return {"prefill": [found.first_token_seconds], "decode": list(found.between_tokens_seconds)}


def passes_a_turn(pass_seconds: float) -> int:
    """Passes that fill a turn."""
    return max(1, round(TURN_SECONDS / max(pass_seconds, 1e-6)))


def turns_a_block(pass_seconds: float, budget_seconds: float) -> int:
    """Turns of a worker in a block: an even number, for turns come in palindromes, and at least two."""
    turn = passes_a_turn(pass_seconds) * max(pass_seconds, 1e-6)
    return max(2, 2 * min(TURNS // 2, int(budget_seconds / turn / 2)))


def fastest(passes: Iterable[Parts]) -> Parts:
    """Step by step the fastest time over passes. Raises ValueError on no passes or passes of different length."""
    stacked: dict[str, list[list[float]]] = {}
    for each in passes:
        for part, seconds in each.items():
            stacked.setdefault(part, []).append(seconds)
    if not stacked:
        raise ValueError("no passes")
    return {part: [min(times) for times in zip(*rows, strict=True)] for part, rows in stacked.items()}


def rates(parts: Parts, timing: Timing) -> dict[str, float]:
    """Speed metrics, in tokens/s, of the parts of a pass."""
    tokens = {
        "prefill": timing.prompt_tokens,
        "decode": timing.new_tokens - 1,
        "encode": timing.prompt_tokens,
        "encode_batch": timing.prompt_tokens * timing.batch_size,
    }
    return {f"{part}_tokens_per_second": tokens[part] / sum(seconds) for part, seconds in parts.items()}
