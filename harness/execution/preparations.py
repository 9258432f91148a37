"""What the prepare tasks of a run handed over, whether it is still there, and why some could not be prepared."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from harness.candidates.artefacts import Seal, is_broken, seal_of
from harness.execution.executor import PREPARING, Result
from harness.execution.orders import Prepared
from harness.execution.plan import Task


class Preparations:
    """Hand-overs by the hash of the task that made them."""

    def __init__(self) -> None:
        self.done: dict[str, Prepared] = {}
        self._seals: dict[str, list[tuple[Path, Seal]]] = {}
        self._renewed: dict[str, Prepared] = {}
        self._unavailable: dict[str, Result] = {}

    def keep(self, task: Task, result: Result, sealed: bool) -> None:
        """Keep what a prepare task handed over, or why it did not; ``sealed`` where its files are on this machine."""
        if task.kind not in PREPARING:
            return
        if result.outcome is None or (made := result.outcome.prepared) is None:
            self._unavailable[task.hash] = result
            return
        before = self._renewed.pop(task.hash, made)
        if before.checkpoint.weights_hash != made.checkpoint.weights_hash:
            reason = f"the weights of {task.subject.candidate} changed while the run was going on"
            self._unavailable[task.hash] = replace(result, status="failed", reason=reason, outcome=None)
        self.done[task.hash] = made
        if sealed:
            self._seals[task.hash] = [(folder, seal_of(folder)) for folder in {made.checkpoint.path, made.folder}]

    def of(self, task: Task) -> Prepared | None:
        """What a task made, or else what it was done with."""
        return self.done.get(task.hash) or (self.done.get(task.needs[-1]) if task.needs else None)

    def passed_over(self, task: Task) -> bool:
        """Whether a measurement is not even tried: its variant's row says already why that was not prepared."""
        return task.kind not in PREPARING and bool(task.needs) and task.needs[-1] not in self.done

    def missing(self, task: Task) -> Result | None:
        """Why a task cannot be done: something that it needs could not be prepared."""
        for need in task.needs:
            if (cause := self._unavailable.get(need)) is not None:
                result = Result(cause.status, cause.reason, None, cause.stderr_tail, 0.0)
                self._unavailable[task.hash] = result
                return result
        return None

    def broken(self, task: Task) -> str | None:
        """The hash of a need whose files something else has changed or removed since they were prepared.

        Files are only looked at here, not read; the prepare task reads them, and makes again what is damaged. What it
        hands over then must have the weights of before.
        """
        for need in task.needs:
            if any(is_broken(folder, seal) for folder, seal in self._seals.get(need, [])):
                name = task.subject.candidate
                print(f"the files of {name} changed since they were prepared: checking them", file=sys.stderr)
                self._renewed[need] = self.done.pop(need)
                del self._seals[need]
                return need
        return None
