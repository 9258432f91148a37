"""From blocks to verdicts: looks at fixed numbers of blocks, each metric decided at the first look that can."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.records.blocks import AGAIN, BASE, NEW, Block
from harness.selection.thresholds import rule_of
from harness.stats.intervals import median
from harness.stats.verdicts import LOOKS, Judgement, Rule, change, confirms, control_false_discoveries, judge

CONFIDENCE = 0.95
"""Of the interval of the blocks that confirm a change."""
MetricOf = tuple[str, str]
"""A variant and a metric of it."""


class Looks:
    """The verdicts so far, over all metrics of all variants.

    A verdict that was reached at a look stands; blocks that come later do not reopen it. ``arm`` is held against base.
    """

    def __init__(self, thresholds: Mapping[str, float], arm: str = NEW) -> None:
        self._thresholds, self._arm = thresholds, arm
        self.judgements: dict[MetricOf, Judgement] = {}

    def look(self, blocks: Iterable[Block], number: int) -> None:
        """Judge what is still undecided, at ``number`` blocks (a key of LOOKS).

        A variant that has fewer, because the machine was busy or time ran out, is judged at the largest look that its
        blocks fill, or at what it has where they fill none.
        """
        standing = {key: each for key, each in self.judgements.items() if each.verdict != "undecided"}
        latest = dict(self.judgements)
        for variant, mine in _by_variant(blocks).items():
            count = max((look for look in LOOKS if look <= min(len(mine), number)), default=len(mine))
            for metric in _metrics(mine):
                if (variant, metric) not in standing:
                    confidence = LOOKS.get(count, LOOKS[min(LOOKS)])
                    latest[variant, metric] = self._judged(mine[:count], metric, confidence)
        self.judgements = {**control_false_discoveries(latest), **standing}

    def undecided(self, variant: str) -> bool:
        """Whether any metric of a variant is undecided, or nothing of it was judged yet."""
        mine = [each for (name, _), each in self.judgements.items() if name == variant]
        return not mine or any(each.verdict == "undecided" for each in mine)

    def changed(self) -> list[str]:
        """Variants with a metric that regressed or improved."""
        found = [variant for (variant, _), each in self.judgements.items() if each.verdict in ("regressed", "improved")]
        return list(dict.fromkeys(found))

    def confirm(self, blocks: Iterable[Block]) -> None:
        """Hold verdicts of a change against fresh blocks; one that these do not confirm becomes undecided."""
        by_variant = _by_variant(blocks)
        for (variant, metric), first in self.judgements.items():
            if first.verdict not in ("regressed", "improved"):
                continue
            mine = by_variant.get(variant, [])
            second = self._judged(mine, metric, CONFIDENCE) if metric in _metrics(mine) else None
            rule = rule_of(metric, self._thresholds)
            if second is None:
                self.judgements[variant, metric] = _unconfirmed(first, "no fresh blocks were measured to confirm it")
            elif not confirms(first, second, rule):
                words = f"{first.verdict} at first, but {second.ratio.n} fresh blocks found a ratio of"
                self.judgements[variant, metric] = _unconfirmed(first, f"{words} {second.ratio.value:.3f}")

    def _judged(self, blocks: Sequence[Block], metric: str, confidence: float) -> Judgement:
        rule = rule_of(metric, self._thresholds)
        both = [_both(block, metric) for block in blocks]
        changes = [
            _change(value, block.arms[self._arm][metric], rule) for value, block in zip(both, blocks, strict=True)
        ]
        noise = [_change(block.arms[BASE][metric], block.arms[AGAIN][metric], rule) for block in blocks]
        return judge(changes, noise, rule, median(both), confidence)


def usable(blocks: Iterable[Block], variant: str, stage: str = "look") -> list[Block]:
    """The blocks of a variant that a verdict may stand on."""
    return [block for block in blocks if block.variant == variant and block.stage == stage and not block.disturbed]


def _change(base: float, new: float, rule: Rule) -> float:
    """The change from one value to another; none, not an infinite one, from or to 0 within the metric's floor."""
    if 0 in (base, new) and abs(new - base) <= rule.floor:
        return 0.0
    return change(base, new, rule.higher_is_better)


def _unconfirmed(first: Judgement, reason: str) -> Judgement:
    """A verdict of a change that does not hold."""
    return replace(first, verdict="undecided", reason=reason)


def _by_variant(blocks: Iterable[Block]) -> dict[str, list[Block]]:
    found: dict[str, list[Block]] = {}
    for block in blocks:
        if not block.disturbed:
            found.setdefault(block.variant, []).append(block)
    return found


def _metrics(blocks: Sequence[Block]) -> list[str]:
    return [name for name in blocks[0].metrics if all(name in block.metrics for block in blocks)] if blocks else []


def _both(block: Block, metric: str) -> float:
    """What base and its repetition showed: their geometric mean, as good as two measurements."""
    one, two = block.arms[BASE][metric], block.arms[AGAIN][metric]
    return math.sqrt(one * two)
