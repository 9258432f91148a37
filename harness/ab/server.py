"""One side of a comparison: a process that runs in a checkout, with that checkout's own code.

It prepares and scores a suite's variants as an ordinary run, then opens workers and passes their turns on. It speaks in
JSON lines: commands on stdin, one answer each on stdout.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.execution.executor import Result
from harness.execution.job import Job, Request, begin
from harness.execution.local import LocalExecutor
from harness.execution.plan import Task
from harness.execution.standby import Standby


class Lines:
    """Says on stderr what a side is doing, a line a task."""

    def __init__(self, name: str) -> None:
        self._name = name

    def began(self, task: Task, done: int, total: int) -> None:
        """A task begins."""
        print(f"{self._name} [{done + 1}/{total}] {task.label}", file=sys.stderr, flush=True)

    def progressed(self, share: float, word: str) -> None:
        """Nothing is said of parts of a task."""

    def ended(self, task: Task, result: Result) -> None:
        """Say why a task did not end well."""
        if result.status != "ok":
            print(f"{self._name} {task.label}: {result.status}: {result.reason}", file=sys.stderr, flush=True)


class Server:
    """What a side knows between commands: its run, and its open workers by number."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._executor: LocalExecutor | None = None
        self._workers: dict[int, Standby] = {}

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do one command; its answer, or ``error`` with the reason."""
        commands: dict[str, Callable[..., dict[str, Any]]] = {
            "prepare": self.prepare,
            "open": self.open,
            "turn": self.turn,
            "close": self.close,
        }
        try:
            return commands[command.pop("do")](**command)
        except HarnessError as error:
            return {"error": str(error)}

    def prepare(self, name: str, **request: Any) -> dict[str, Any]:
        """Prepare, score and measure the memory of every variant; the run's folder and what could be prepared."""
        for key in ("settings", "only", "skip", "local"):
            request[key] = tuple(request[key])
        for key in ("runs_dir", "cache_dir"):
            request[key] = Path(request[key])
        self._job = begin(Request(**request, fresh=True, timed=False))
        self._job.run(Lines(name))
        environment = self._job.runner.environment
        self._executor = LocalExecutor(environment.threads, self._job.runner.offline)
        return {"run": str(self._job.folder.path), "variants": list(self._job.runner.timing_orders())}

    def open(self, variant: str, slower: float | None = None) -> dict[str, Any]:
        """A fresh worker with a variant loaded and warm; its number and what loading took."""
        if self._job is None or self._executor is None:
            raise HarnessError("nothing was prepared")
        order = self._job.runner.timing_orders()[variant]
        worker = self._executor.stand_by(order, slower, self._job.plan.suite.deadlines.time)
        try:
            opened = worker.open()
        except BaseException:
            worker.kill()
            raise
        number = max(self._workers, default=0) + 1
        self._workers[number] = worker
        return {"worker": number, **asdict(opened)}

    def turn(self, worker: int, passes: int) -> dict[str, Any]:
        """Passes of an open worker."""
        try:
            return {"passes": self._workers[worker].turn(passes)}
        except HarnessError:
            del self._workers[worker]
            raise

    def close(self, worker: int) -> dict[str, Any]:
        """End an open worker."""
        if (open_worker := self._workers.pop(worker, None)) is not None:
            open_worker.close()
        return {}

    def kill(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            worker.kill()
        self._workers.clear()


def main() -> None:
    """Answer commands until stdin ends. Libraries that print to stdout print to stderr instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    server = Server()
    try:
        for line in sys.stdin:
            print(json.dumps(server.answer(json.loads(line))), file=answers, flush=True)
    finally:
        server.kill()


if __name__ == "__main__":
    main()
