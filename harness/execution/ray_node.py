"""What a node of a Ray cluster does: it says what it is, and performs tasks in worker processes of its own."""

from __future__ import annotations

import os
import platform
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.candidates.artefacts import Seal, is_broken, seal_of
from harness.errors import HarnessError
from harness.execution.executor import Assignment, Result
from harness.execution.local import LocalExecutor
from harness.execution.orders import Outcome, Prepared, WorkOrder
from harness.execution.plan import CODE
from harness.execution.work import perform
from harness.execution.worker import Channel
from harness.records.environment import Environment, snapshot
from harness.records.hashing import code_digest, digest, short

_DEVICES = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Node:
    """A node as it describes itself. ``machine`` names its machine within a run, and tells nothing of it; ``storage``
    says why the artefacts' storage cannot be reached from it, and is empty where it can."""

    machine: str
    environment: Environment
    code: str
    storage: str


@dataclass(frozen=True)
class Bundle:
    """What is sent to a node with a task: where artefacts are shared (empty for nowhere), the versions that a node must
    have, and what performs an order in place of a worker process, to test scheduling alone."""

    assignment: Assignment | None
    threads: int
    offline: bool
    storage: str
    versions: str
    instead: Callable[[Any], Result] | None = None

    def of(self, assignment: Assignment) -> Bundle:
        """The same with another task."""
        return replace(self, assignment=assignment)


def describe(run: str, threads: int, storage: str) -> Node:
    """What this node is. ``run`` makes its name another one in every run."""
    return Node(_machine(run), snapshot(threads), code_digest(*CODE), _unreachable(storage))


def versions_of(environment: Environment) -> str:
    """Names the versions of an environment and the code that is here."""
    return digest([environment.python, environment.versions, code_digest(*CODE)])


def perform_on_node(bundle: Bundle) -> Result:
    """Do a task, and before it whatever prepares what it needs and this node has not got yet.

    What is prepared comes out of the node's cache or the shared storage where it was made before, on any node.
    """
    assert bundle.assignment is not None
    if bundle.instead is not None:
        return replace(bundle.instead(bundle.assignment.order), node=_id())
    here = snapshot(bundle.threads)
    if versions_of(here) != bundle.versions:  # it has joined the cluster since the run began
        return Result("failed", "this node has other versions than the run was begun with", None, "", 0.0, node=_id())
    os.environ["HARNESS_STORAGE"] = bundle.storage
    with _no_main_module():
        result = _perform(bundle.assignment, bundle)
    return replace(result, node=_id(), environment=here.hash)


def _perform(assignment: Assignment, bundle: Bundle) -> Result:
    expected = getattr(assignment.order, "prepared", None)
    prepared: Prepared | None = None
    for need in assignment.before:
        found = _prepared_here(need, bundle, prepared)
        if isinstance(found, Result):
            return found
        prepared = found
    if prepared and expected and prepared.checkpoint.weights_hash != expected.checkpoint.weights_hash:
        reason = f"this node has other weights of {assignment.task.subject.candidate} than were prepared"
        return Result("failed", reason, None, "", 0.0)
    return _run(assignment, bundle, prepared)


def _prepared_here(need: Assignment, bundle: Bundle, before: Prepared | None) -> Prepared | Result:
    """What a prepare task hands over on this node, looked up where it was done here and its files are those still."""
    if (known := _PREPARED.get(need.task.hash)) and not any(is_broken(folder, seal) for folder, seal in known[1]):
        return known[0]
    result = _run(need, bundle, before)
    if result.status != "ok" or result.outcome is None or result.outcome.prepared is None:
        return result
    made = result.outcome.prepared
    _PREPARED[need.task.hash] = (made, [(folder, seal_of(folder)) for folder in {made.checkpoint.path, made.folder}])
    return made


def _run(assignment: Assignment, bundle: Bundle, prepared: Prepared | None) -> Result:
    order = assignment.order
    if isinstance(order, WorkOrder):
        order = replace(order, cache_dir=_own_cache(), prepared=prepared)
    seeing = _Seeing(os.environ.get(_DEVICES), order)
    told = (assignment.deadline_seconds, lambda share, word: None, assignment.telemetry, assignment.memory)
    return _executor(bundle.threads, bundle.offline).run(seeing, *told)


_PREPARED: dict[str, tuple[Prepared, list[tuple[Path, Seal]]]] = {}
"""What this process knows to be prepared on its node, by the hash of the task that prepares it."""


@dataclass(frozen=True)
class _Seeing:
    """An order with the GPUs that Ray gave to its task; those of another may be in the environment of its worker."""

    devices: str | None
    order: Any


def _perform_seeing(seeing: _Seeing, channel: Channel) -> Outcome:
    if seeing.devices is not None:
        os.environ[_DEVICES] = seeing.devices
    return perform(seeing.order, channel)


@cache
def _executor(threads: int, offline: bool) -> LocalExecutor:
    return LocalExecutor(threads, offline, _perform_seeing)


@cache
def _own_cache() -> Path:
    from harness.cli.options import cache_folder

    given = os.environ.get("HARNESS_CACHE")
    return cache_folder(Path(given) if given else None)


def _id() -> str:
    """This node's id in Ray, which the driver turns into its name."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _machine(run: str) -> str:
    try:
        own = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        own = str(uuid.getnode())
    return short(digest([run, own, platform.node()]))


def _unreachable(storage: str) -> str:
    if not storage:
        return ""
    from harness.candidates.storage import Storage

    try:
        Storage.at(storage).check()
    except HarnessError as error:
        return str(error)
    return ""


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Inside the block workers are not shown the program that Ray runs in this process, which they would import."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
