"""The local executor: one task at a time in a fresh worker process, killed at its deadline."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.execution.environment import worker_environment
from harness.execution.executor import Assignment, Ended, Result, Say, Timed
from harness.execution.memory_limit import Limited, MemoryLimit
from harness.execution.orders import Outcome, WorkOrder
from harness.execution.program_end import scratch_folder
from harness.execution.standby import Standby
from harness.execution.telemetry import EVERY_SECONDS, Telemetry
from harness.execution.work import perform
from harness.execution.worker import Channel, kill_group, start_worker, work
from harness.records.environment import conditions
from harness.records.privacy import without_private
from harness.records.record import Fact, Status
from harness.speed.memory import Memory, memory_of

TAIL_BYTES = 2000
WATCH_SECONDS = 0.005


class LocalExecutor:
    """Runs tasks on this machine. The parent sleeps while a worker works, except where it watches memory."""

    here = True
    _next: Assignment | None = None

    def __init__(self, threads: int, offline: bool, perform: Callable[[Any, Channel], Outcome] = perform) -> None:
        self._perform = perform
        os.environ.update(worker_environment(threads, offline))
        self._scratch = scratch_folder()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["harness.execution.preload"])

    def machines(self) -> list[dict[str, Any]]:
        """None but this one, which every run tells."""
        return []

    def resume(self, finished: Mapping[str, Timed]) -> frozenset[str]:
        """Timings that a node of a cluster took are taken again here."""
        return frozenset(name for name, timed in finished.items() if timed.node)

    def room(self) -> bool:
        """One task at a time."""
        return self._next is None

    def submit(self, assignment: Assignment) -> None:
        """Take a task, which :meth:`wait` runs."""
        self._next = assignment

    def wait(self, say: Say) -> Ended:
        """Run the task that was submitted."""
        assert self._next is not None
        given, self._next = self._next, None
        return Ended(given.task, self.run(given.order, given.deadline_seconds, say, given.telemetry, given.memory))

    def cancel(self) -> None:
        """Nothing runs while nobody waits."""
        self._next = None

    def close(self) -> None:
        """Nothing is kept between tasks that does not end with this process."""

    def stand_by(self, order: WorkOrder, slower: float | None, deadline_seconds: float) -> Standby:
        """Start a worker that stays and takes turns, made slower by a share where one is given."""
        return Standby(self._context, order, slower, deadline_seconds)

    def run(
        self,
        order: Any,
        deadline_seconds: float,
        progress: Callable[[float, str], None],
        telemetry: bool = False,
        memory: MemoryLimit | None = None,
    ) -> Result:
        """Run one task to its end, its deadline, or its death. KeyboardInterrupt kills the worker and passes on.

        With ``telemetry`` the worker is looked at once a second, and the outcome's conditions tell what it took. With
        a limit on its ``memory`` the system gives the worker no more than that.
        """
        perform = Limited(self._perform, memory) if memory else self._perform
        with tempfile.TemporaryDirectory(dir=self._scratch) as scratch:
            stderr_file = Path(scratch) / "stderr"
            before, start = conditions(), time.monotonic()
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=work, args=(perform, order, theirs, stderr_file), daemon=False)
            try:
                start_worker(process)
                theirs.close()
                sampler = Telemetry(process.pid or 0) if telemetry else None
                status, reason, outcome = _follow(process, ours, time.monotonic() + deadline_seconds, progress, sampler)
                if outcome is not None and sampler:
                    outcome = replace(outcome, conditions={**outcome.conditions, "telemetry": sampler.summary()})
            except HarnessError as error:
                status, reason, outcome = "crashed", str(error), None
            finally:
                if process.pid is not None:
                    kill_group(process)
                ours.close()
                theirs.close()
            if status == "timeout":
                reason = f"killed after {deadline_seconds:g} s"
            tail = _tail(stderr_file)
            if memory:
                status, reason = memory.explain(status, reason, tail)
            seconds, around = time.monotonic() - start, {"before": before, "after": conditions()}
            return Result(status, without_private(reason), outcome, tail, seconds, around)


def _follow(
    process: BaseProcess,
    connection: Connection,
    deadline: float,
    progress: Callable[[float, str], None],
    sampler: Telemetry | None,
) -> tuple[Status, str, Outcome | None]:
    watched: _MemoryWatch | None = None
    kills, looked = _oom_kills(), 0.0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "timeout", "", None
        pause = WATCH_SECONDS if watched else EVERY_SECONDS if sampler else left
        ready = wait([connection, process.sentinel], timeout=min(left, pause))
        if watched:
            watched.look()
        if sampler and time.monotonic() - looked > EVERY_SECONDS:
            sampler.look()
            looked = time.monotonic()
        if connection in ready:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                process.join(timeout=1)
                return *_death(process, kills), None
            if message[0] == "progress":
                progress(message[1], message[2])
            elif message[0] == "watch":
                watched = watched or _MemoryWatch(process.pid or 0)
                connection.send("go")
            elif message[0] == "end":
                _, status, reason, outcome = message
                if outcome and watched:
                    outcome = replace(outcome, facts=[*outcome.facts, *watched.facts()])
                return status, reason, outcome
        elif process.sentinel in ready:
            return *_death(process, kills), None


class _MemoryWatch:
    """The highest memory of a worker over what it held when the watch began."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.baseline = self.peak = memory_of(pid)
        self.looks = 0

    def look(self) -> None:
        now, peak = memory_of(self.pid), self.peak
        proportional = [each.proportional for each in (now, peak) if each.proportional is not None]
        self.peak = Memory(max(now.unique, peak.unique), max(proportional, default=None))
        self.looks += 1

    def facts(self) -> list[Fact]:
        facts = [self._fact("peak_memory_bytes", "unique set size", self.peak.unique, self.baseline.unique)]
        if self.peak.proportional is not None and self.baseline.proportional is not None:
            baseline = self.baseline.proportional
            facts.insert(0, self._fact("peak_pss_bytes", "proportional set size", self.peak.proportional, baseline))
        return facts

    def _fact(self, metric: str, watched: str, peak: int, baseline: int) -> Fact:
        protocol = {"watched": watched, "every_seconds": WATCH_SECONDS, "baseline_bytes": baseline}
        return Fact(metric=metric, value=float(peak - baseline), n=self.looks, protocol=protocol)


def _death(process: BaseProcess, oom_kills_before: int) -> tuple[Status, str]:
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        if -code == signal.SIGKILL and _oom_kills() > oom_kills_before:
            return "out-of-memory", "killed by the system for using too much memory"
        return "crashed", f"killed by {name}"
    return "crashed", f"exited with {code} without a result"


def _oom_kills() -> int:
    """How often the kernel has killed for memory, by this cgroup's or the machine's own count."""
    for file in ("/sys/fs/cgroup/memory.events", "/proc/vmstat"):
        try:
            for line in Path(file).read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
        except (OSError, ValueError):
            continue
    return 0


def _tail(file: Path) -> str:
    """The end of what a worker printed, without the name of the user's home."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return without_private(text)
