"""What a person sees while a run goes on, and at its end."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from harness.execution.executor import Result
    from harness.execution.job import Job
    from harness.execution.plan import Task


class Progress:
    """A bar with what is being done and an estimate of what is left on a terminal; a plain line a task elsewhere.

    It is redrawn when a task speaks, never by a timer, so that the parent sleeps while a reading is taken.
    """

    def __init__(self, job: Job) -> None:
        self._estimate = job.estimate
        self._console = Console(stderr=True)
        self._bar: Any = None
        self._item: Any = None
        self._label = ""
        self._drawn = 0.0

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (
                BarColumn(bar_width=24),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.description}"),
            )
            self._bar = Bar(*columns, console=self._console, auto_refresh=False, transient=True)
            self._bar.start()
            self._item = self._bar.add_task("starting", total=1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def began(self, task: Task, done: int, total: int) -> None:
        """A task begins."""
        left = _duration(self._estimate.left())
        self._label = f"{task.label} (about {left} left)"
        if self._bar:
            self._bar.update(self._item, completed=done, total=total, description=self._label)
            self._bar.refresh()
        else:
            print(f"[{done + 1}/{total}] {self._label}", file=sys.stderr, flush=True)

    def progressed(self, share: float, word: str) -> None:
        """A task says how far it is; drawn at most twice a second."""
        now = time.monotonic()
        if self._bar and now - self._drawn > 0.5:
            self._drawn = now
            self._bar.update(self._item, description=f"{self._label}: {share:.0%} {word}")
            self._bar.refresh()

    def ended(self, task: Task, result: Result) -> None:
        """A task ended."""
        self._estimate.end(task, result.seconds, result.status == "ok")
        if result.status != "ok":
            self._console.print(
                f"  {task.label}: {result.status}: {result.reason}", markup=False, highlight=False, soft_wrap=True
            )


def print_plan(job: Job) -> None:
    """The tasks of a job and their estimated times, on stdout."""
    counts: dict[str, int] = {}
    for task in job.pending:
        print(f"{task.hash}  {_duration(job.estimate.of(task)):>8}  {task.label}")
        counts[task.kind] = counts.get(task.kind, 0) + 1
    tally = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing to do"
    print(f"{len(job.pending)} tasks ({tally}), about {_duration(job.estimate.left())}")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


def print_step(share: float, word: str) -> None:
    """How far something slow is, on one line of a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{share:.0%} {word}", end="" if share < 1 else "\n", file=sys.stderr, flush=True)
