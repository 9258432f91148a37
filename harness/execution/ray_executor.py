"""The executor for a Ray cluster: tasks are Ray tasks with their cores, memory and GPUs.

Preparing and scoring go to any node that has room. Timings are pinned: a node takes all of a kind of machine, and
each of its tasks asks for all of its cores, so that Ray itself lets nothing run beside it.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError
from harness.execution.executor import TIMING, Assignment, Ended, Executor, Result, Say
from harness.execution.plan import CODE, Plan, Task
from harness.execution.ray_node import Bundle, Node, describe, perform_on_node
from harness.records.environment import Environment
from harness.records.hashing import code_digest
from harness.suites.schema import Suite

_LABEL = "harness-machine"
_ATTEMPTS = 3
_AHEAD = 2
"""Tasks submitted for each place on the cluster, so that none waits for the driver."""
_CONNECT_SECONDS = 5.0
_PROBE_SECONDS = 120.0


@dataclass(frozen=True)
class Cluster:
    """How a run uses a cluster: the ``address`` of its head (empty for one that is begun here), and where the artefacts
    of its nodes are shared (empty for nowhere)."""

    address: str = ""
    storage: str = ""


@dataclass(frozen=True)
class _Place:
    """A node that is alive: its id in Ray, its labels, what it has, and what it says of itself."""

    id: str
    labels: Mapping[str, str]
    cores: float
    gpus: float
    memory_bytes: float
    about: Node


@dataclass
class _Sent:
    """A task under way: where it was pinned to, and how often it was sent."""

    assignment: Assignment
    place: _Place | None
    attempts: int = 1


@dataclass
class _Pins:
    """The node of each kind of machine, and the timing tasks that it has finished."""

    places: dict[str, _Place] = field(default_factory=dict)
    finished: dict[str, dict[str, str]] = field(default_factory=dict)
    """Nodes' keys by task, by kind of machine."""


class RayExecutor(Executor):
    """Runs tasks on the nodes of a Ray cluster; see :class:`harness.execution.executor.Executor`.

    Raises HarnessError, before anything runs, where Ray is missing, no cluster is at the address, nodes have other
    versions or code than the driver, cannot reach the storage, or where a task fits no node.
    """

    here = False

    def __init__(
        self,
        run: str,
        plan: Plan,
        environment: Environment,
        offline: bool,
        cluster: Cluster,
        instead: Callable[[Any], Result] | None = None,
    ) -> None:
        self._ray = _connected(cluster.address)
        self._run, self._environment, self._offline = run, environment, offline
        self._suite, self._cluster, self._instead = plan.suite, cluster, instead
        self._perform = self._ray.remote(perform_on_node)
        self._describe = self._ray.remote(describe)
        self._places = self._alive()
        if not self._places:
            raise HarnessError("the Ray cluster has no node that is alive")
        _refuse_differences(self._places, environment)
        _refuse_unreachable(self._places, cluster.storage)
        self._refuse_unfit(plan)
        self._sent: dict[Any, _Sent] = {}
        self._pins = _Pins()

    def machines(self) -> dict[str, dict[str, Any]]:
        """The kinds of machines by the hash of their environment: what each is, its label, and its number of nodes."""
        counts = Counter(place.about.environment.hash for place in self._places)
        return {
            place.about.environment.hash: {
                **place.about.environment.as_dict(),
                "kind": place.labels.get(_LABEL, ""),
                "nodes": counts[place.about.environment.hash],
            }
            for place in self._places
        }

    def resume(self, finished: Mapping[str, tuple[Task, str]]) -> frozenset[str]:
        """Pin each kind of machine to the node that has done most of its timings; the others' are done again."""
        by_kind: dict[str, dict[str, str]] = {}
        for name, (task, node) in finished.items():
            by_kind.setdefault(_kind(task), {})[name] = node
        again: set[str] = set()
        for kind, nodes in by_kind.items():
            fitting = {place.about.key: place for place in self._fitting(kind)}
            counts = Counter(node for node in nodes.values() if node in fitting)
            kept = counts.most_common(1)[0][0] if counts else None
            if kept:
                self._pins.places[kind] = fitting[kept]
            self._pins.finished[kind] = {name: node for name, node in nodes.items() if node == kept}
            again.update(name for name, node in nodes.items() if node != kept)
        return frozenset(again)

    def room(self) -> bool:
        """Whether no more is under way than the cluster can begin soon."""
        places = sum(max(1, int(place.cores // self._environment.threads)) for place in self._places)
        return len(self._sent) < _AHEAD * places

    @property
    def under_way(self) -> int:
        """How many tasks have been sent and have not ended."""
        return len(self._sent)

    def submit(self, assignment: Assignment) -> None:
        """Send a task; a timing to its kind's node, which is chosen with the first."""
        self._send(_Sent(assignment, self._pinned(assignment.task)))

    def wait(self, say: Say) -> Ended:
        """Wait for the next task that ends."""
        again: frozenset[str] = frozenset()
        while True:
            (ready,), _ = self._ray.wait(list(self._sent), num_returns=1)
            sent = self._sent.pop(ready)
            task = sent.assignment.task
            try:
                result: Result = self._ray.get(ready)
            except self._ray.exceptions.RayTaskError as error:
                return Ended(task, Result("failed", _first_line(error), None, "", 0.0), again)
            except self._ray.exceptions.RayError as error:
                self._places = self._alive()
                again |= self._moved(sent)
                if sent.attempts == _ATTEMPTS:
                    reason = f"lost {_ATTEMPTS} times with its node or its worker ({_first_line(error)})"
                    return Ended(task, Result("crashed", reason, None, "", 0.0), again)
                print(f"{task.label}: lost with its node or worker, begun again", file=sys.stderr)
                self._send(_Sent(sent.assignment, self._pinned(task), sent.attempts + 1))
                continue
            if sent.place is not None:
                self._pins.finished.setdefault(_kind(task), {})[task.hash] = result.node
            return Ended(task, result, again)

    def cancel(self) -> None:
        """End the tasks under way, with their processes."""
        for reference in self._sent:
            self._ray.cancel(reference, force=True)
        self._sent.clear()

    def _send(self, sent: _Sent) -> None:
        place = sent.place
        options: dict[str, Any] = {"max_retries": 0, "name": sent.assignment.task.label}
        options |= self._resources(sent.assignment.task)
        if place is not None:
            strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(place.id, soft=False)
            options |= {"num_cpus": place.cores, "scheduling_strategy": strategy}
        elif labels := self._labels(_kind(sent.assignment.task)):
            options["label_selector"] = dict(labels)
        threads, storage = self._environment.threads, self._cluster.storage
        bundle = Bundle(sent.assignment, threads, self._offline, storage, self._instead)
        self._sent[self._perform.options(**options).remote(bundle, self._run)] = sent

    def _resources(self, task: Task) -> dict[str, Any]:
        """Cores, GPUs and memory that a task asks Ray for."""
        return {
            "num_cpus": self._environment.threads,
            "num_gpus": 1 if task.subject.device.startswith("cuda") else 0,
        }

    def _labels(self, kind: str) -> Mapping[str, str]:
        """The labels of the nodes of a kind of machine, as the suite gives them; none for tasks of no kind."""
        return _labels_of(self._suite, kind)

    def _fitting(self, kind: str) -> list[_Place]:
        wanted = self._labels(kind).items()
        return [place for place in self._places if all(place.labels.get(key) == value for key, value in wanted)]

    def _pinned(self, task: Task) -> _Place | None:
        if task.kind not in TIMING:
            return None
        kind = _kind(task)
        if kind not in self._pins.places:
            taken = {place.id for place in self._pins.places.values()}
            fitting = [place for place in self._fitting(kind) if self._fits(task, place)]
            if not fitting:
                raise HarnessError(f"no node is left that could {task.label}")
            self._pins.places[kind] = min(fitting, key=lambda place: (place.id in taken, -place.cores, place.about.key))
        return self._pins.places[kind]

    def _moved(self, sent: _Sent) -> frozenset[str]:
        """The finished timings that have to be taken again, where the node of their kind is gone."""
        kind = _kind(sent.assignment.task)
        if sent.place is None or any(place.id == sent.place.id for place in self._places):
            return frozenset()
        if self._pins.places.get(kind) is sent.place:
            del self._pins.places[kind]
            return frozenset(self._pins.finished.pop(kind, {}))
        return frozenset()

    def _fits(self, task: Task, place: _Place) -> bool:
        wanted = self._resources(task)
        return bool(place.cores >= wanted["num_cpus"] and place.gpus >= wanted["num_gpus"])

    def _refuse_unfit(self, plan: Plan) -> None:
        for task in plan.tasks:
            fitting = self._fitting(_kind(task))
            if not fitting:
                labels = ", ".join(f"{key}={value}" for key, value in self._labels(_kind(task)).items())
                raise HarnessError(
                    f"no node of the cluster has the label {labels}, which {task.subject.variant} asks for"
                )
            if not any(self._fits(task, place) for place in fitting):
                wanted = self._resources(task)
                most = max(place.cores for place in fitting)
                raise HarnessError(
                    f"'{task.label}' wants {wanted['num_cpus']} cores and {wanted['num_gpus']} GPUs, and fits no node "
                    f"(the largest has {most:g} cores and {max(p.gpus for p in fitting):g} GPUs); see --threads"
                )

    def _alive(self) -> list[_Place]:
        """The nodes that are alive and have a core, as they describe themselves."""
        known = {place.id: place for place in getattr(self, "_places", [])}
        nodes = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        asked = {
            node["NodeID"]: self._describe.options(
                num_cpus=0, max_retries=0, scheduling_strategy=affinity(node["NodeID"], soft=False)
            ).remote(self._run, self._environment.threads, self._cluster.storage)
            for node in nodes
            if node["NodeID"] not in known
        }
        found = []
        for node in nodes:
            name, resources = node["NodeID"], node["Resources"]
            if name in known:
                found.append(known[name])
                continue
            try:
                about = self._ray.get(asked[name], timeout=_PROBE_SECONDS)
            except self._ray.exceptions.RayTaskError as error:
                raise HarnessError(f"a node of the cluster cannot run harness: {_first_line(error)}") from error
            except self._ray.exceptions.RayError:
                continue  # it has died meanwhile, or does not answer
            found.append(_Place(name, node.get("Labels", {}), resources["CPU"], resources.get("GPU", 0),
                                resources.get("memory", 0), about))  # fmt: skip
        return found


def _connected(address: str) -> Any:
    """The ray module, connected. Raises HarnessError where it is missing, or where no cluster answers."""
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise HarnessError("--executor ray needs Ray: pip install 'harness[ray]'") from None
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        try:
            socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        except OSError as error:
            raise HarnessError(f"no Ray cluster answers at {address}: {error.strerror or error}") from error
    if ray.is_initialized():
        return ray
    try:
        ray.init(address=address or None, log_to_driver=False, logging_level=logging.ERROR, namespace="harness")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise HarnessError(f"no Ray cluster answers at {address or 'this machine'}: {_first_line(error)}") from error
    return ray


def _refuse_differences(places: list[_Place], environment: Environment) -> None:
    """Numbers of nodes with other versions or other code would not be comparable."""
    code, mine = code_digest(*CODE), {"python": environment.python, **environment.versions}
    for place in places:
        theirs = {"python": place.about.environment.python, **place.about.environment.versions}
        differing = [
            f"{name} {theirs.get(name, 'missing')} (here {mine.get(name, 'missing')})"
            for name in sorted(mine.keys() | theirs.keys())
            if mine.get(name) != theirs.get(name)
        ]
        if not differing and place.about.code != code:
            differing = ["another state of harness's own code under the same version"]
        if differing:
            raise HarnessError(f"node {place.about.key} of the cluster has {', '.join(differing)}")


def _refuse_unreachable(places: list[_Place], storage: str) -> None:
    """Nodes take from one another what they prepared, by the storage, and every one must reach it."""
    if len(places) > 1 and not storage:
        raise HarnessError(f"the {len(places)} nodes of the cluster share nothing: --storage takes a folder or a URL")
    for place in places:
        if place.about.storage:
            raise HarnessError(f"node {place.about.key} of the cluster: {place.about.storage}")


def _kind(task: Task) -> str:
    """The kind of machine that a task asks for; empty where any will do."""
    return getattr(task.subject, "machine", "")


def _labels_of(suite: Suite, kind: str) -> Mapping[str, str]:
    if not kind:
        return {}
    asked = getattr(suite, "machines", {}).get(kind)
    return (asked.labels if asked else {}) or {_LABEL: kind}


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[-1] if lines else ''}"
