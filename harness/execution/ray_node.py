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
from harness.execution.orders import TROUBLES, Outcome, Prepared, WorkOrder
from harness.execution.plan import CODE
from harness.execution.work import perform
from harness.execution.worker import Channel
from harness.records.environment import Environment, snapshot
from harness.records.hashing import code_digest, digest, short
from harness.records.objects import Objects
from harness.records.privacy import without_private

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


def describe(run: str, threads: int, storage: str, place: str) -> Node:
    """What this node is. ``run`` makes its name another one in every run; ``place`` is what the storage calls itself
    on the machine that started the run (:meth:`harness.records.objects.Objects.identity`)."""
    return Node(_machine(run), snapshot(threads), code_digest(*CODE), _unreachable(storage, place))


def versions_of(environment: Environment) -> str:
    """Names the versions of an environment and the code that is here."""
    return digest([environment.python, environment.versions, code_digest(*CODE)])


def perform_on_node(bundle: Bundle) -> Result:
    """Do a task, and before it whatever prepares what it needs and this node has not got yet.

    What is prepared comes out of the node's cache or the shared storage where it was made before, on any node. Raises
    HarnessError where the node has other versions than it should: it has joined the cluster since the run began.
    """
    assert bundle.assignment is not None
    here = _this_node(bundle.threads)
    if versions_of(here) != bundle.versions:
        raise HarnessError("this node has other versions than the run was begun with")
    if bundle.instead is not None:
        return replace(bundle.instead(bundle.assignment.order), node=_id())
    with _no_main_module():
        result = _perform(bundle.assignment, bundle)
    return replace(result, node=_id(), environment=here.hash)


def _perform(assignment: Assignment, bundle: Bundle) -> Result:
    expected = getattr(assignment.order, "prepared", None)
    prepared: Prepared | None = None
    troubles: dict[str, list[str]] = {}
    for need in assignment.before:
        found = _prepared_here(need, bundle, prepared)
        if found.outcome is None or found.outcome.prepared is None:
            return found
        prepared = found.outcome.prepared
        for condition in TROUBLES & found.outcome.conditions.keys():
            troubles.setdefault(condition, []).extend(found.outcome.conditions[condition])
    if prepared and expected and prepared.checkpoint.weights_hash != expected.checkpoint.weights_hash:
        reason = f"this node has other weights of {assignment.task.subject.candidate} than were prepared"
        return Result("failed", reason, None, "", 0.0)
    result = _run(assignment, bundle, prepared)
    if result.outcome is None:
        return result
    return replace(result, outcome=replace(result.outcome, conditions={**troubles, **result.outcome.conditions}))


def _prepared_here(need: Assignment, bundle: Bundle, before: Prepared | None) -> Result:
    """How a prepare task ends on this node, looked up where it was done here and its files are those still."""
    if (known := _PREPARED.get(need.task.hash)) and not any(is_broken(folder, seal) for folder, seal in known[1]):
        return Result("ok", "", Outcome([], known[0]), "", 0.0)
    result = _run(need, bundle, before)
    if result.outcome and (made := result.outcome.prepared):
        folders = {made.checkpoint.path, made.folder}
        _PREPARED[need.task.hash] = (made, [(folder, seal_of(folder)) for folder in folders])
    return result


def _run(assignment: Assignment, bundle: Bundle, prepared: Prepared | None) -> Result:
    order = assignment.order
    if isinstance(order, WorkOrder):
        order = replace(order, cache_dir=_own_cache(), storage=bundle.storage, prepared=prepared)
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


@cache
def _this_node(threads: int) -> Environment:
    return snapshot(threads)


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


def _unreachable(storage: str, place: str) -> str:
    if not storage:
        return ""
    try:
        objects = Objects.at(storage)
        objects.check()
        same = objects.identity() == place
    except HarnessError as error:
        return str(error)
    return "" if same else f"{without_private(storage)} is another place there than on the machine that starts the run"


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Inside the block workers are not shown the program that Ray runs in this process, which they would import."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
