"""Which blocks are measured when: rounds over all variants that are still undecided, looks, and a confirmation."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.ab.blocks import Arm, ArmError, measure_block
from harness.records.blocks import Block, BlockStore
from harness.records.record import Fact, Record, Status
from harness.records.run_folder import RunFolder
from harness.selection.looks import Looks, usable
from harness.speed.timing import Timing
from harness.stats.intervals import median
from harness.stats.verdicts import CONFIRMING, LOOKS

SPARE = 0.5
"""Disturbed blocks that are measured again, at most, as a share of those that are needed."""


class Ledger:
    """Where blocks are stored: all of them in ``blocks.jsonl``, and each side's readings in its own run as well."""

    def __init__(self, folder: Path, runs: Mapping[str, RunFolder]) -> None:
        self._store, self._runs = BlockStore(folder), runs
        records = {name: run.records() for name, run in runs.items()}
        self._closings = {
            name: {record.subject.variant: record for record in mine if record.kind == "score" and record.fact is None}
            for name, mine in records.items()
        }

    def add(self, block: Block) -> None:
        """Store a block; its readings are a timing round of both runs."""
        self._store.append(block)
        if block.stage != "look":
            return
        for name, run in self._runs.items():
            values = {**block.arms[name], "control_seconds": median(block.control_seconds)}
            facts = [Fact(metric=metric, value=value) for metric, value in values.items()]
            run.store.append(self._records(name, block, "ok", "", facts))

    def fail(self, name: str, variant: str, number: int, reason: str) -> None:
        """Store that a variant could not be measured on one side."""
        block = Block(variant, number, {})
        self._runs[name].store.append(self._records(name, block, "failed", reason, []))

    def _records(self, name: str, block: Block, status: Status, reason: str, facts: Sequence[Fact]) -> list[Record]:
        closing = replace(
            self._closings[name][block.variant],
            task=f"block {block.number} of {block.variant}",
            kind="time",
            status=status,
            reason=reason,
            stderr_tail="",
            round=block.number,
            facts=len(facts),
            duration_seconds=block.seconds,
            conditions={"disturbed": list(block.disturbed)},
            corpus={},
        )
        return [*(replace(closing, fact=fact, facts=0, conditions={}) for fact in facts), closing]


class Schedule:
    """Measures blocks of several arms. ``says`` hears in words what is being done."""

    def __init__(
        self, arms: Sequence[Arm], timing: Timing, ledger: Ledger, seed: int, says: Callable[[str], None]
    ) -> None:
        self._arms, self._timing, self._ledger, self._says = arms, timing, ledger, says
        self._order = random.Random(seed)
        self.failed: dict[str, str] = {}
        self._until = float("inf")
        self.blocks: list[Block] = []

    def run(self, variants: Sequence[str], looks: Looks, seconds: float) -> None:
        """Look after so many blocks as LOOKS says, until all metrics are decided or the seconds are spent; then confirm
        what changed with fresh blocks, which may take longer than that."""
        self._until = time.monotonic() + seconds
        active = list(variants)
        for count in LOOKS:
            self.fill(active, count, "look")
            looks.look([block for variant in active for block in usable(self.blocks, variant)], count)
            active = [variant for variant in active if variant not in self.failed and looks.undecided(variant)]
            self._says(f"after {count} blocks: {len(active)} of {len(variants)} variants have an undecided metric")
            if not active or time.monotonic() > self._until:
                break
        if changed := looks.changed():
            self._until = float("inf")
            self.fill(changed, CONFIRMING, "confirm")
            looks.confirm([block for variant in changed for block in usable(self.blocks, variant, "confirm")])

    def fill(self, variants: Sequence[str], count: int, stage: str) -> None:
        """Measure rounds over the variants, each in a new random order, until each has ``count`` usable blocks.

        What was disturbed is measured again a few times.
        """
        missing = count - min((len(usable(self.blocks, each, stage)) for each in variants), default=count)
        for _ in range(round(missing * (1 + SPARE))):
            wanted = [each for each in variants if len(usable(self.blocks, each, stage)) < count]
            wanted = [each for each in wanted if each not in self.failed]
            if not wanted:
                break
            fewest = min(len(usable(self.blocks, each, stage)) for each in wanted)
            self._says(f"{stage}: block {fewest + 1} of {count}, {len(wanted)} variants")
            for variant in self._order.sample(wanted, len(wanted)):
                if time.monotonic() > self._until:
                    return
                self._measure(variant, stage)

    def _measure(self, variant: str, stage: str) -> None:
        number = sum(block.variant == variant for block in self.blocks)
        try:
            block = measure_block(variant, number, self._arms, self._timing, self._order, stage)
        except ArmError as error:
            self.failed[variant] = str(error)
            self._says(f"{variant} failed on {error.arm.side}: {error}")
            self._ledger.fail(error.arm.side.name, variant, number, str(error))
            return
        self.blocks.append(block)
        self._ledger.add(block)
        if block.disturbed:
            self._says(f"{variant}, block {number + 1}: disturbed ({'; '.join(block.disturbed)}); not used")
