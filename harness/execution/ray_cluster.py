"""The nodes of a Ray cluster: connecting to it, what each node is, and why a run could not be trusted to them."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.execution.plan import CODE, Task
from harness.execution.ray_node import Node, describe
from harness.records.environment import Environment
from harness.records.hashing import code_digest, digest, short
from harness.records.objects import Objects
from harness.records.privacy import without_private

_CONNECT_SECONDS = 5.0
_PROBE_SECONDS = 120.0


@dataclass(frozen=True)
class Place:
    """A node that is alive: its id in Ray, its labels, its cores and GPUs, and what it says of itself."""

    id: str
    labels: Mapping[str, str]
    cores: float
    gpus: float
    about: Node

    def has(self, labels: Mapping[str, str]) -> bool:
        """Whether it has all of these labels."""
        return all(self.labels.get(key) == value for key, value in labels.items())

    def fits(self, resources: Mapping[str, float]) -> bool:
        """Whether a task that asks Ray for these could run on it."""
        return self.cores >= resources["num_cpus"] and self.gpus >= resources["num_gpus"]


class Nodes:
    """The nodes of a cluster that have a core, looked at once, and again when one was lost.

    Raises HarnessError where none is there, where one has other versions or code than this process, where one cannot
    reach the ``storage`` (a location; empty for none), and where several have none to share.
    """

    def __init__(self, ray: Any, run: str, environment: Environment, storage: str) -> None:
        self.ray, self._run, self._environment, self._storage = ray, run, environment, storage
        self._place = Objects.at(storage).identity() if storage else ""
        self._describe = ray.remote(describe)
        self.places: list[Place] = []
        self._seen: dict[str, Place] = {}
        self._keys: dict[str, str] = {}
        self.refused: set[str] = set()
        """Nodes that came since the run began and are not trusted with it, by their ids in Ray."""
        self.look(first=True)
        if not self.places:
            raise HarnessError("the Ray cluster has no node with a core that is alive")
        if len({place.about.machine for place in self.places}) < len(self.places):
            print("several nodes of the cluster are on one machine: they disturb each other's timings", file=sys.stderr)

    def key(self, place: str) -> str:
        """Names a node within a run and leads back to nothing: by its machine, so that it is the same when Ray was
        started again on it, or where nodes share a machine by its id in Ray too."""
        if place not in self._keys:
            self.look()
        return self._keys.get(place) or short(digest([self._run, place]))

    def selector(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Ray's label selector for nodes that have these labels and were not refused."""
        refused = {"ray.io/node-id": f"!in({','.join(sorted(self.refused))})"} if self.refused else {}
        return {**labels, **refused}

    def look(self, first: bool = False) -> None:
        """Look which nodes are alive; those that are new describe themselves. After the ``first`` time those that
        cannot be trusted are left out and named on stderr."""
        known = {place.id: place for place in self.places}
        alive = [node for node in self.ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
                 and node["NodeID"] not in self.refused]  # fmt: skip
        asked = {node["NodeID"]: self._ask(node["NodeID"]) for node in alive if node["NodeID"] not in known}
        self.places = []
        for node in alive:
            place = known.get(node["NodeID"])
            try:
                if place is None and (about := self._answer(asked[node["NodeID"]])) is not None:
                    has = node["Resources"]
                    place = Place(node["NodeID"], node.get("Labels", {}), has["CPU"], has.get("GPU", 0.0), about)
                    _refuse_differences(place, self._environment)
                    _refuse_unreachable(place)
            except HarnessError as error:
                if first:
                    raise
                print(f"left out: {error}", file=sys.stderr)
                self.refused.add(node["NodeID"])
                continue
            self.places += [place] if place else []
        if len(self.places) > 1 and not self._storage:
            self._leave_out_others(known, first)
        self._seen |= {place.id: place for place in self.places}
        counts = Counter(place.about.machine for place in self.places)
        for place in self.places:
            machine = place.about.machine
            own = machine if counts[machine] == 1 else short(digest([machine, place.id]))
            self._keys.setdefault(place.id, own)

    def with_labels(self, labels: Mapping[str, str]) -> list[Place]:
        """The nodes that have all of these labels."""
        return [place for place in self.places if place.has(labels)]

    def seen_with(self, labels: Mapping[str, str]) -> list[Place]:
        """The nodes that have all of these labels, with those that have gone."""
        return [place for place in self._seen.values() if place.has(labels)]

    def _leave_out_others(self, known: Mapping[str, Place], first: bool) -> None:
        """Without a storage there may be one node alone: those that come later are left out."""
        if first:
            many = len(self.places)
            raise HarnessError(f"the {many} nodes of the cluster share nothing: --storage takes a folder or a URL")
        for place in [place for place in self.places if place.id not in known]:
            print(f"left out: node {place.about.machine} of the cluster, for there is no --storage", file=sys.stderr)
            self.refused.add(place.id)
            self.places.remove(place)

    def on(self, place: str) -> Any:
        """Ray's strategy by which a task goes to this node or nowhere."""
        return self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(place, soft=False)

    def refuse_unfit(self, task: Task, labels: Mapping[str, str], resources: Mapping[str, float]) -> None:
        """Raise HarnessError for a task that no node could run."""
        named = self.with_labels(labels)
        if not named and not labels:
            raise HarnessError(f"no node of the cluster is left on which to {task.label}; the same command resumes")
        if not named:
            wanted = ", ".join(f"{key}={value}" for key, value in labels.items())
            raise HarnessError(f"no node of the cluster has the label {wanted}, which {task.subject.variant} asks for")
        if not any(place.fits(resources) for place in named):
            cores, gpus = (max(each) for each in zip(*((place.cores, place.gpus) for place in named), strict=True))
            raise HarnessError(
                f"'{task.label}' wants {resources['num_cpus']} cores and {resources['num_gpus']} GPUs and fits no node "
                f"(there are up to {cores:g} cores and {gpus:g} GPUs); see --threads"
            )

    def _ask(self, place: str) -> Any:
        options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": self.on(place)}
        return self._describe.options(**options).remote(
            self._run, self._environment.threads, self._storage, self._place
        )

    def _answer(self, asked: Any) -> Node | None:
        """A node's description; None where the node has died meanwhile."""
        try:
            found: Node = self.ray.get(asked, timeout=_PROBE_SECONDS)
        except self.ray.exceptions.GetTimeoutError:
            raise HarnessError(f"a node of the cluster did not tell what it is in {_PROBE_SECONDS:g} s") from None
        except self.ray.exceptions.RayTaskError as error:
            raise HarnessError(f"a node of the cluster cannot run harness: {first_line(error)}") from error
        except self.ray.exceptions.RayError:
            return None
        return found


def connected(address: str) -> tuple[Any, bool]:
    """The ray module, connected to the cluster at ``address`` (``HOST:PORT``), or where it is empty to one that Ray
    finds or begins here; and whether it was connected only now.

    Raises HarnessError where Ray is missing, where no cluster answers, and where this process is connected to another.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a cluster that is begun here
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise HarnessError("--executor ray needs Ray: pip install 'harness[ray]'") from None
    if ray.is_initialized():
        _refuse_another(ray.get_runtime_context().gcs_address, address)
        return ray, False
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address and not (host and port.isdigit()) and address != "auto":
        raise HarnessError(f"--address: expected HOST:PORT, not '{address}'")
    if port.isdigit():
        try:
            socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise HarnessError(
                f"no Ray cluster answers at {address}: {getattr(error, 'strerror', None) or error}"
            ) from error
    try:
        ray.init(address=address or None, log_to_driver=False, logging_level=logging.ERROR, namespace="harness")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        said = " ".join(str(error).split())
        raise HarnessError(f"the Ray cluster at {address or 'this machine'} cannot be used: {said}") from error
    return ray, True


def _refuse_another(connected: str, address: str) -> None:
    if address and address not in ("auto", connected):
        raise HarnessError(f"this process is connected to the Ray cluster at {connected} already, not to {address}")


def first_line(error: BaseException) -> str:
    """What an error of Ray, or the error that a task raised on a node, says in one line."""
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines()
    return without_private(f"{type(cause).__name__}: {lines[0] if lines else ''}")


def _refuse_differences(place: Place, environment: Environment) -> None:
    """Numbers of nodes with other versions or other code would not be comparable."""
    mine = {"python": environment.python, **environment.versions}
    theirs = {"python": place.about.environment.python, **place.about.environment.versions}
    differing = [
        f"{name} {theirs.get(name, 'missing')} (here {mine.get(name, 'missing')})"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    ]
    if not differing and place.about.code != code_digest(*CODE):
        differing = ["another state of harness's code under the same version"]
    if differing:
        raise HarnessError(f"node {place.about.machine} of the cluster has {', '.join(differing)}")


def _refuse_unreachable(place: Place) -> None:
    """Nodes take from one another what they prepared, by the storage, so every one must reach it."""
    if place.about.storage:
        raise HarnessError(f"node {place.about.machine} of the cluster: {place.about.storage}")
