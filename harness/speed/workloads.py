"""What is timed: one pass of each family's real work, on real tokens, with nothing between the readings."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from harness.engines.base import Ids, Session
from harness.errors import HarnessError

Clock = Callable[[], float]


@dataclass(frozen=True)
class GenerationPass:
    """Seconds of one generation: to the first token, and between each two tokens after it."""

    prompt_tokens: int
    first_token_seconds: float
    between_tokens_seconds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """The whole pass."""
        return self.first_token_seconds + sum(self.between_tokens_seconds)


@dataclass(frozen=True)
class EncodePass:
    """Seconds of one encode call over ``tokens`` tokens."""

    tokens: int
    seconds: float


def generation_pass(session: Session, prompt: Ids, new_tokens: int, clock: Clock) -> GenerationPass:
    """Prefill ``prompt`` [length] and decode ``new_tokens`` greedily, without stopping early.

    Raises HarnessError when a prompt and its new tokens do not fit the model's positions.
    """
    limit = session.facts.positions
    if limit is not None and len(prompt) + new_tokens > limit:
        raise HarnessError(f"{len(prompt)} + {new_tokens} tokens are more than the model's {limit} positions")
    times = [clock()]
    token = int(session.prefill(prompt, new_tokens).argmax())
    times.append(clock())
    for _ in range(new_tokens - 1):
        token = int(session.step(token).argmax())
        times.append(clock())
    between = tuple(after - before for before, after in itertools.pairwise(times[1:]))
    if len(between) != new_tokens - 1:
        raise HarnessError(f"decoded {len(between) + 1} tokens where {new_tokens} were asked for")
    return GenerationPass(len(prompt), times[1] - times[0], between)


def encode_pass(session: Session, batch: Ids, clock: Clock) -> EncodePass:
    """Encode ``batch`` [rows, length]."""
    start = clock()
    session.encode(batch)
    return EncodePass(int(batch.size), clock() - start)
