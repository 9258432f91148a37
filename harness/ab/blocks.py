"""A block: one variant in fresh workers of every arm, which take turns until each has done the same passes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.ab.side import Side
from harness.errors import HarnessError
from harness.records.blocks import Block
from harness.speed.control import control_seconds
from harness.speed.disturbance import disturbance, usage
from harness.speed.timing import Timing
from harness.speed.turns import Parts, fastest, passes_a_turn, rates, turns_a_block
from harness.stats.intervals import median


@dataclass(frozen=True)
class Arm:
    """What is measured in a block under a name: a side, made slower by a share where one is given."""

    name: str
    side: Side
    slower: float | None = None


class ArmError(HarnessError):
    """An arm of a block failed; ``arm`` says which."""

    def __init__(self, arm: Arm, reason: str) -> None:
        super().__init__(reason)
        self.arm = arm


@dataclass
class _Worker:
    arm: Arm
    number: int
    opened: dict[str, Any]
    passes: list[Parts] = field(default_factory=list)


def measure_block(
    variant: str, number: int, arms: Sequence[Arm], timing: Timing, order: random.Random, stage: str = "look"
) -> Block:
    """Measure a variant once in every arm.

    All workers are loaded first, in random order. Then they take turns in palindromes of random order (such as base,
    new, again, again, new, base), so that a machine that drifts drifts for all alike; while one works the others sleep.
    Each arm's speed is that of its fastest steps. Raises ArmError where a worker fails.
    """
    began = time.monotonic()
    with _opened(variant, order.sample(arms, len(arms))) as workers:
        pass_seconds = median([worker.opened["pass_seconds"] for worker in workers])
        passes, turns = passes_a_turn(pass_seconds), turns_a_block(pass_seconds, timing.budget_seconds)
        controls, before = [control_seconds(time.perf_counter)], usage()
        for _ in range(turns // 2):
            shuffled = order.sample(workers, len(workers))
            for worker in (*shuffled, *reversed(shuffled)):
                worker.passes += _ask(worker.arm, "turn", worker=worker.number, passes=passes)["passes"]
        disturbed = disturbance(before, usage())
        controls.append(control_seconds(time.perf_counter))
        for worker in workers:
            _ask(worker.arm, "close", worker=worker.number)
    return Block(
        variant=variant,
        number=number,
        arms={arm.name: _metrics(next(w for w in workers if w.arm is arm), timing) for arm in arms},
        stage=stage,
        seconds=round(time.monotonic() - began, 3),
        control_seconds=tuple(controls),
        disturbed=disturbed,
        turns=turns,
        passes=passes,
        order=tuple(worker.arm.name for worker in workers),
    )


@contextmanager
def _opened(variant: str, arms: Sequence[Arm]) -> Iterator[list[_Worker]]:
    """A worker of each arm, loaded and warm. Where anything fails, all that are open are closed."""
    workers: list[_Worker] = []
    try:
        for arm in arms:
            opened = _ask(arm, "open", variant=variant, slower=arm.slower)
            workers.append(_Worker(arm, opened["worker"], opened))
        yield workers
    except ArmError:
        for worker in workers:
            try:
                worker.arm.side.ask("close", worker=worker.number)
            except HarnessError:
                continue
        raise


def _ask(arm: Arm, do: str, **words: Any) -> dict[str, Any]:
    try:
        return arm.side.ask(do, **words)
    except HarnessError as error:
        raise ArmError(arm, str(error)) from error


def _metrics(worker: _Worker, timing: Timing) -> dict[str, float]:
    opened = {name: worker.opened[name] for name in ("load_seconds", "peak_resident_bytes")}
    told = {name: value for name, value in opened.items() if value is not None}
    return {**rates(fastest(worker.passes), timing), **told}
