"""What a machine shows when something is measured against itself, and which changes could be found on it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.stats.intervals import Estimate, exponential, median_estimate, percentile
from harness.stats.verdicts import LOOKS, POWER, Rule, change, judge

Arms = tuple[Sequence[float], Sequence[float], Sequence[float]]
"""The readings of one block, in seconds: of base, of base again, and of what is held against both."""
_TRIES = 400


@dataclass(frozen=True)
class NoiseFloor:
    """What nothing changed looks like. ``ratio`` is that of the third arm to the other two, which should be 1, with a
    95 % interval where there are six blocks; ``floor`` the far end of the interval of base against itself, as a
    fraction; ``smallest`` the change that would be found in 80 % of tries, by number of blocks, as a fraction."""

    ratio: Estimate
    floor: float
    smallest: dict[int, float]


def noise_floor(blocks: Sequence[Arms], reduce: Callable[[Sequence[float]], float]) -> NoiseFloor:
    """The noise floor of blocks in which all three arms are the same program, each arm reduced to one number.

    Raises ValueError for no blocks and for readings that are not positive.
    """
    changes, noise = [], []
    for block in blocks:
        base, again, third = map(reduce, block)
        if min(base, again, third) <= 0:
            raise ValueError("a reading that is not positive has no ratio")
        changes.append(change(math.sqrt(base * again), third, higher_is_better=False))
        noise.append(change(base, again, higher_is_better=False))
    rule = Rule(threshold=0.0, higher_is_better=False)
    return NoiseFloor(
        ratio=exponential(median_estimate(changes)),
        floor=judge(changes, noise, rule, 1.0).noise or 0.0,
        smallest={number: smallest_change(changes, noise, number, confidence) for number, confidence in LOOKS.items()},
    )


def smallest_change(changes: Sequence[float], noise: Sequence[float], blocks: int, confidence: float) -> float:
    """The slow-down, as a fraction, that so many blocks would call a regression in 80 % of tries, without a threshold.

    ``changes`` and ``noise`` were measured where nothing changed. Blocks are drawn from them with replacement (Efron &
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 25); of each try it is known how far its interval would
    have to move to lie beyond its bound. Raises ValueError where ``blocks`` give no interval at ``confidence``.
    """
    draw, needed = random.Random(0), []
    rule, every = Rule(threshold=0.0, higher_is_better=False), range(len(changes))
    for _ in range(_TRIES):
        drawn = draw.choices(every, k=blocks)
        tried = judge([changes[i] for i in drawn], [noise[i] for i in drawn], rule, 1.0, confidence)
        if tried.ratio.low is None:
            raise ValueError(f"{blocks} blocks give no interval at {confidence:.1%}")
        needed.append(math.log1p(tried.bound) - math.log(tried.ratio.low))
    return math.expm1(percentile(needed, POWER))
