"""How a run goes, told to somebody who is no terminal: lines, or steps for a function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.execution.estimate import Estimate
    from harness.execution.executor import Result
    from harness.execution.plan import Task


@dataclass(frozen=True)
class Step:
    """How far a run is: what it does now, after ``done`` of ``total`` tasks, of which it has done the ``share`` (0 to
    1) that it knows of; all that is left will take about ``seconds_left``."""

    label: str
    done: int
    total: int
    share: float
    seconds_left: float


class Steps:
    """A listener to a run that hands each step to ``tell``, and a task that went wrong, in words, to ``lost``."""

    def __init__(self, estimate: Estimate, tell: Callable[[Step], None], lost: Callable[[str], None]) -> None:
        self._estimate, self._tell, self._lost = estimate, tell, lost
        self._at = ("", 0, 0)

    def began(self, task: Task, done: int, total: int) -> None:
        """A task begins."""
        self._at = (task.label, done, total)
        self.progressed(0.0, "")

    def progressed(self, share: float, word: str) -> None:
        """A task says how far it is."""
        self._tell(Step(*self._at, share, self._estimate.left()))

    def ended(self, task: Task, result: Result) -> None:
        """A task ended."""
        self._estimate.end(task, result.seconds, result.status == "ok")
        if result.status != "ok":
            self._lost(f"{task.label}: {result.status}: {result.reason}")


def print_steps(estimate: Estimate) -> Steps:
    """A listener that writes a line a task to stderr, and one more for a task that went wrong."""
    said: set[int] = set()

    def tell(step: Step) -> None:
        if step.done not in said:
            said.add(step.done)
            _print(f"[{step.done + 1}/{step.total}] {step.label} (about {step.seconds_left:.0f} s left)")

    return Steps(estimate, tell, lambda words: _print(f"  {words}"))


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
