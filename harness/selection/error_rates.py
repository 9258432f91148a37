"""False alarms and power of the verdicts, counted in blocks in which the truth is known."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.records.blocks import Block
from harness.selection.looks import Looks
from harness.stats.verdicts import CONFIRMING, LOOKS, Judgement

SAME = "same"
"""The arm that is base once more."""
SLOWER = {"slower by 2 %": 0.02, "slower by 5 %": 0.05, "slower by 10 %": 0.1, "slower by 20 %": 0.2}
"""The arms that are base with extra work, and its share."""
SLOWED = ("prefill_tokens_per_second", "decode_tokens_per_second", "encode_tokens_per_second",
          "encode_batch_tokens_per_second")  # fmt: skip
"""The metrics that the extra work slows; others, such as loading, are as those of base in every arm."""


@dataclass(frozen=True)
class Study:
    """Blocks of one variant, measured without a break, with what is told beside them."""

    blocks: Sequence[Block]
    environment: dict[str, Any]
    command: str

    @property
    def usable(self) -> list[Block]:
        """The blocks that were not disturbed."""
        return [block for block in self.blocks if not block.disturbed]


@dataclass(frozen=True)
class Comparison:
    """One comparison as ``harness ab`` makes it: its verdicts by metric, and the blocks that it took."""

    judgements: Mapping[str, Judgement]
    blocks: int


def comparisons(blocks: Sequence[Block], arm: str, metric: str) -> list[Comparison]:
    """Cut a sequence of blocks of one variant into comparisons of an arm with base, one after the other, none sharing a
    block with another. Each ends when a metric is decided, judged among all others. What is left at the end and would
    not fill a comparison is not used."""
    source, found = [block for block in blocks if not block.disturbed], []
    start = 0
    while (comparison := _compare(source[start:], arm, metric)) is not None:
        found.append(comparison)
        start += comparison.blocks
    return found


def resampled(blocks: Sequence[Block], arm: str, times: int, seed: int = 0) -> Iterator[Comparison]:
    """Comparisons of blocks drawn at random, without repeats within a comparison: more of them than there are blocks
    for, so they tell the rates more finely, but are not independent of each other."""
    source, order = [block for block in blocks if not block.disturbed], random.Random(seed)
    size = max(LOOKS) + CONFIRMING
    if len(source) >= size:
        for _ in range(times):
            comparison = _compare(order.sample(source, size), arm)
            if comparison is not None:
                yield comparison


def _compare(blocks: Sequence[Block], arm: str, metric: str | None = None) -> Comparison | None:
    """The first comparison that the blocks make, of all metrics or of one among all; None where they are too few."""
    looks, used = Looks({}, arm), 0
    for used in LOOKS:
        if len(blocks) < used:
            return None
        looks.look(blocks[:used], used)
        watched = [each for (_, name), each in looks.judgements.items() if metric in (None, name)]
        if all(each.verdict != "undecided" for each in watched):
            break
    if any(each.verdict in ("regressed", "improved") for each in watched):
        if len(blocks) < used + CONFIRMING:
            return None
        looks.confirm(blocks[used : used + CONFIRMING])
        used += CONFIRMING
    return Comparison({metric: each for (_, metric), each in looks.judgements.items()}, used)
