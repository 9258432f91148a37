"""The executor for a Ray cluster: tasks are Ray tasks that ask for their cores and GPUs.

Preparing and scoring go to any node that has room. Timings are pinned: one node takes all of a kind of machine, and
each of its tasks asks for all of the node's cores, so that Ray itself lets nothing run beside it.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import HarnessError
from harness.execution.executor import TIMING, Assignment, Ended, Executor, Result, Say, Timed
from harness.execution.plan import Plan, Task
from harness.execution.ray_cluster import Nodes, Place, connected, first_line
from harness.execution.ray_node import Bundle, perform_on_node, versions_of
from harness.records.environment import Environment

_ATTEMPTS = 3
_LOOK_SECONDS = 30.0
"""Without a task that ends, after which it is looked whether the nodes are still there."""
_AHEAD = 2
"""Tasks under way for each place on the cluster, so that none waits for the driver."""


@dataclass(frozen=True)
class _Sent:
    """A task under way: the node that it was pinned to, and how often it was sent."""

    assignment: Assignment
    place: Place | None
    attempts: int = 1


class RayExecutor(Executor):
    """Runs tasks on the nodes of a Ray cluster; see :class:`harness.execution.executor.Executor`.

    ``address`` and ``storage`` are those of :func:`~harness.execution.ray_cluster.connected` and
    :class:`~harness.execution.ray_cluster.Nodes`, whose errors it raises before anything runs, and HarnessError where a
    task fits no node. With ``instead`` nodes do that with an order in place of performing it.
    """

    here = False

    def __init__(
        self,
        run: str,
        plan: Plan,
        environment: Environment,
        offline: bool,
        address: str,
        storage: str,
        instead: Callable[[Any], Result] | None = None,
    ) -> None:
        self._ray, self._connected = connected(address)
        self._run, self._threads, self._kinds = run, environment.threads, plan.suite.kinds
        self._nodes = Nodes(self._ray, run, environment, storage)
        self._needed: dict[str, dict[str, float]] = {}
        """What the node of a kind of machine must have for all of its timings."""
        for task in plan.tasks:
            if task.kind in TIMING:
                needed = self._needed.setdefault(task.subject.machine, {})
                for name, amount in self._resources(task).items():
                    needed[name] = max(amount, needed.get(name, 0.0))
        for task in plan.tasks:
            self._refuse_unfit(task)
        self._bundle = Bundle(None, environment.threads, offline, storage, versions_of(environment), instead)
        self._perform = self._ray.remote(perform_on_node)
        self._sent: dict[Any, _Sent] = {}
        self._ready: deque[Any] = deque()
        """Of the tasks under way those that are known to have ended."""
        self._pins: dict[str, Place] = {}
        self._timed: dict[str, set[str]] = {}
        """The timing tasks that the node of each kind of machine has finished."""

    def machines(self) -> list[dict[str, Any]]:
        """The nodes that took part and are alike, with the kind of machine that variants ask for them as, and how many
        they are."""
        alike: dict[tuple[str, str], list[Environment]] = {}
        for kind in self._needed:
            for place in self._nodes.seen_with(self._labels(kind)):
                alike.setdefault((place.about.environment.hash, kind), []).append(place.about.environment)
        return [{**same[0].as_dict(), "kind": kind, "nodes": len(same)} for (_, kind), same in alike.items()]

    def resume(self, finished: Mapping[str, Timed]) -> frozenset[str]:
        """Pin each kind of machine to the node that has done most of its timings; the others' are done again."""
        again: set[str] = set()
        for kind in dict.fromkeys(timed.machine for timed in finished.values()):
            there = {self._as_timed(kind, place): place for place in self._fitting(kind)}
            mine = {name: timed for name, timed in finished.items() if timed.machine == kind}
            counts = Counter(timed for timed in mine.values() if timed in there)
            kept = counts.most_common(1)[0][0] if counts else None
            if kept:
                self._pins[kind] = there[kept]
            self._timed[kind] = {name for name, timed in mine.items() if timed == kept}
            again |= mine.keys() - self._timed[kind]
        return frozenset(again)

    def _as_timed(self, kind: str, place: Place) -> Timed:
        """What a timing on a node is recorded as."""
        return Timed(kind, self._nodes.key(place.id), place.about.environment.hash)

    def room(self) -> bool:
        """Whether no more is under way than the cluster can begin soon."""
        if not self._sent:
            return True
        places = sum(max(1, int(place.cores // self._threads)) for place in self._nodes.places)
        return len(self._sent) < _AHEAD * places

    @property
    def under_way(self) -> int:
        """How many tasks have been submitted and have not ended."""
        return len(self._sent)

    def submit(self, assignment: Assignment) -> None:
        """Send a task; a timing to its kind's node, which is chosen with the first. Raises HarnessError where the nodes
        that could take it are gone."""
        self._send(_Sent(assignment, self._pin(assignment.task)))

    def wait(self, say: Say) -> Ended:
        """Wait for the next task that ends. What it says meanwhile stays on its node."""
        again: frozenset[str] = frozenset()
        while True:
            reference = self._next_ended()
            sent = self._sent.pop(reference)
            task = sent.assignment.task
            result, mishap = self._collect(reference)
            if mishap:
                again |= self._unpin(sent)
            if mishap and sent.attempts < _ATTEMPTS:
                print(f"{task.label}: {mishap}, begun again", file=sys.stderr)
                self._send(_Sent(sent.assignment, self._pin(task), sent.attempts + 1))
            elif not mishap and self._has_moved(sent):
                self._send(_Sent(sent.assignment, self._pin(task)))
            else:
                if sent.place is not None and not mishap:
                    self._timed.setdefault(task.subject.machine, set()).add(task.hash)
                return Ended(task, result, again)

    def _next_ended(self) -> Any:
        """Wait until a task has ended. All that have are taken at once, since Ray looks at each every time."""
        while not self._ready:
            under_way = list(self._sent)
            found, _ = self._ray.wait(under_way, num_returns=1, timeout=_LOOK_SECONDS)
            if found:
                found, _ = self._ray.wait(under_way, num_returns=len(under_way), timeout=0)
                self._ready.extend(found)
            else:
                self._nodes.look()
                for sent in self._sent.values():
                    self._refuse_unfit(sent.assignment.task)
        return self._ready.popleft()

    def _collect(self, reference: Any) -> tuple[Result, str]:
        """How a task ended, and the mishap that kept it from ending as it would have on another node, if any."""
        errors = self._ray.exceptions
        try:
            result: Result = self._ray.get(reference)
            return replace(result, node=self._nodes.key(result.node)), ""
        except errors.OutOfMemoryError as error:
            return Result("out-of-memory", f"killed by Ray ({type(error).__name__})", None, "", 0.0), ""
        except errors.RayTaskError as error:
            self._nodes.look()
            mishap = "perhaps given to a node that is left out now" if self._nodes.refused else ""
            return Result("failed", first_line(error), None, "", 0.0), mishap
        except errors.RayError as error:
            self._nodes.look()
            reason = f"lost {_ATTEMPTS} times with its node or worker ({type(error).__name__})"
            return Result("crashed", reason, None, "", 0.0), "lost with its node or worker"

    def cancel(self) -> None:
        """End the tasks under way, with their processes."""
        for reference in self._sent:
            self._ray.cancel(reference, force=True)
        self._sent.clear()
        self._ready.clear()

    def close(self) -> None:
        """Disconnect from the cluster, where nobody else in this process was connected before."""
        if self._connected:
            self._ray.shutdown()

    def _send(self, sent: _Sent) -> None:
        task = sent.assignment.task
        self._refuse_unfit(task)
        options: dict[str, Any] = {"max_retries": 0, "name": task.label, **self._resources(task)}
        if sent.place is not None:
            options |= {"num_cpus": sent.place.cores, "scheduling_strategy": self._nodes.on(sent.place.id)}
        elif selector := self._nodes.selector(self._labels(task.subject.machine)):
            options["label_selector"] = selector
        reference = self._perform.options(**options).remote(self._bundle.of(sent.assignment))
        self._sent[reference] = sent

    def _resources(self, task: Task) -> dict[str, float]:
        """Cores and GPUs that a task asks Ray for."""
        return {"num_cpus": self._threads, "num_gpus": 1 if task.subject.device.startswith("cuda") else 0}

    def _labels(self, kind: str) -> Mapping[str, str]:
        """The labels of the nodes of a kind of machine; none for tasks that ask for no kind."""
        return self._kinds[kind] if kind else {}

    def _fitting(self, kind: str) -> list[Place]:
        """The nodes that could take all timings of a kind of machine."""
        needed = self._needed.get(kind, {"num_cpus": self._threads, "num_gpus": 0})
        return [place for place in self._nodes.with_labels(self._labels(kind)) if place.fits(needed)]

    def _refuse_unfit(self, task: Task) -> None:
        """Raise HarnessError where no node that is there could run a task, which Ray would let wait for ever."""
        kind = task.subject.machine
        wanted = self._needed[kind] if task.kind in TIMING else self._resources(task)
        self._nodes.refuse_unfit(task, self._labels(kind), wanted)

    def _pin(self, task: Task) -> Place | None:
        """The node of a timing task: the one of its kind, chosen among those that no other kind has, the largest."""
        if task.kind not in TIMING:
            return None
        kind = task.subject.machine
        if kind not in self._pins:
            taken = {place.id for place in self._pins.values()}
            fitting = self._fitting(kind)
            if not fitting:
                raise HarnessError(f"no node is left on which to {task.label}; the same command resumes")
            self._pins[kind] = min(fitting, key=lambda place: (place.id in taken, -place.cores, place.id))
        return self._pins[kind]

    def _has_moved(self, sent: _Sent) -> bool:
        """Whether the timings of its kind are taken on another node than did this one."""
        return sent.place is not None and sent.place is not self._pins.get(sent.assignment.task.subject.machine)

    def _unpin(self, sent: _Sent) -> frozenset[str]:
        """The finished timings that have to be taken again, where a task was lost with the node of its kind."""
        kind = sent.assignment.task.subject.machine
        if sent.place is None or sent.place in self._nodes.places or self._pins.get(kind) is not sent.place:
            return frozenset()
        del self._pins[kind]
        return frozenset(self._timed.pop(kind, ()))
