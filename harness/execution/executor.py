"""What runs the tasks of a plan: the interface of executors, and what passes through it.

``local`` runs one task at a time on this machine (execution/local.py), ``ray`` many on the nodes of a cluster
(execution/ray_executor.py). docs/cluster.md says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.execution.memory_limit import MemoryLimit
from harness.execution.orders import MachineOrder, Outcome, WorkOrder
from harness.execution.plan import Task
from harness.records.record import Status

EXECUTORS = ("local", "ray")
PREPARING = ("candidate", "variant")
TIMING = ("limits", "load", "time")
Say = Callable[[float, str], None]
"""Hears which share of a task is done, and what it does."""


@dataclass(frozen=True)
class Result:
    """How a task ended. ``around`` are the conditions of the machine before and after it; ``node`` and ``environment``
    name the node of a cluster that did it and its hardware and versions, and are empty where that is this machine."""

    status: Status
    reason: str
    outcome: Outcome | None
    stderr_tail: str
    seconds: float
    around: dict[str, Any] = field(default_factory=dict)
    node: str = ""
    environment: str = ""


@dataclass(frozen=True)
class Timed:
    """A timing task that is finished: the kind of machine that it was asked for on, and the node and the environment
    that did it; the node is empty where it was this machine."""

    machine: str
    node: str
    environment: str


@dataclass(frozen=True)
class Assignment:
    """A task to be done: its order, how long it may take, and ``before`` it the tasks that prepare what it needs, for
    a node that has none of it. A telemetry is taken once a second, a memory limit kept, where asked for."""

    task: Task
    order: WorkOrder | MachineOrder
    deadline_seconds: float
    telemetry: bool = False
    memory: MemoryLimit | None = None
    before: tuple[Assignment, ...] = ()


@dataclass(frozen=True)
class Ended:
    """A task that ended. ``again`` are finished tasks that have to be done once more: their node is gone, and what is
    compared with them has to be measured on another."""

    task: Task
    result: Result
    again: frozenset[str] = frozenset()


class Executor(Protocol):
    """Runs tasks. All methods are called from one thread."""

    here: bool
    """Whether tasks run on this machine one at a time, so that their files can be looked at in between."""

    def machines(self) -> list[dict[str, Any]]:
        """The machines of a cluster as ``run.json`` lists them (:mod:`harness.records.machines`); none for this one."""

    def resume(self, finished: Mapping[str, Timed]) -> frozenset[str]:
        """Hear which timing tasks of the run are finished, by their hashes; answer with those that must be done again,
        for no node that is there could take the measurements that they are compared with."""

    def room(self) -> bool:
        """Whether one more task may be submitted now."""

    def submit(self, assignment: Assignment) -> None:
        """Take a task, to be begun now or as soon as there is a place for it."""

    def wait(self, say: Say) -> Ended:
        """Wait until one of the submitted tasks has ended. A task that is lost with its node is submitted again by the
        executor itself, a few times. KeyboardInterrupt passes on."""

    def cancel(self) -> None:
        """End all that is submitted, and whatever it has started; nothing of it is heard of again."""

    def close(self) -> None:
        """Give back what the executor took for itself; it is not used any more."""
