"""The tasks of a run that are left: each may begin when those that it needs have ended, in the order of the plan."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from harness.execution.executor import TIMING
from harness.execution.plan import Task


class Queue:
    """Tasks in the order of a plan, in which each comes after those that it needs. Timings begin when all else has
    ended, so that rounds go over all variants in their order and nothing else keeps a machine busy meanwhile. A step
    costs the same however many tasks there are. ``begun`` and ``total`` count for people how far a run is."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.begun, self.total = 0, len(tasks)
        self._tasks = {task.hash: task for task in tasks}
        self._places = {name: place for place, name in enumerate(self._tasks)}
        self._names = list(self._tasks)
        self._missing = {task.hash: {need for need in task.needs if need in self._tasks} for task in tasks}
        self._waiting: dict[str, list[str]] = {}
        for name, needs in self._missing.items():
            for need in needs:
                self._waiting.setdefault(need, []).append(name)
        self._untimed = sum(task.kind not in TIMING for task in tasks)
        self._ready: list[int] = []
        self._timings: list[int] = []
        for name, needs in self._missing.items():
            if not needs:
                self._make_ready(name)
        self._running: dict[str, Task] = {}

    def __bool__(self) -> bool:
        """Whether anything is left, begun or not."""
        return bool(self._ready or self._timings or self._running)

    def running(self) -> tuple[Task, ...]:
        """What has begun and not ended."""
        return tuple(self._running.values())

    def next(self) -> Task | None:
        """The first task that may begin; it counts as begun. None while there is none."""
        heap = self._ready or ([] if self._untimed else self._timings)
        if not heap:
            return None
        task = self._tasks[self._names[heapq.heappop(heap)]]
        self._running[task.hash] = task
        self.begun += 1
        return task

    def end(self, task: Task) -> None:
        """A task has ended, whatever came of it: those that waited for it alone may begin."""
        del self._running[task.hash]
        self._untimed -= task.kind not in TIMING
        for name in self._waiting.pop(task.hash, ()):
            self._missing[name].discard(task.hash)
            if not self._missing[name]:
                self._make_ready(name)

    def put_back(self, task: Task, first: Task) -> None:
        """A task that had begun waits for one that has ended, and that is done again before it."""
        del self._running[task.hash]
        self._missing[task.hash].add(first.hash)
        self._waiting.setdefault(first.hash, []).append(task.hash)
        self.begun -= 1
        self.add_again(first)

    def add_again(self, task: Task) -> None:
        """A task of the plan that has ended is to be done once more."""
        if task.hash not in self._places:
            self._places[task.hash] = len(self._names)
            self._names.append(task.hash)
            self._tasks[task.hash] = task
            self._missing[task.hash] = set()
        if task.hash not in self._running and self._places[task.hash] not in (*self._ready, *self._timings):
            self._untimed += task.kind not in TIMING
            self._make_ready(task.hash)
            self.total += 1

    def _make_ready(self, name: str) -> None:
        heapq.heappush(self._timings if self._tasks[name].kind in TIMING else self._ready, self._places[name])
