"""A job: a request turned into a plan and a run folder, new or resumed."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from harness.candidates.catalogue import resolve
from harness.candidates.published import warn_of_code
from harness.corpora.corpus import Corpus
from harness.engines.catalogue import engine_kind
from harness.errors import HarnessError
from harness.execution.environment import worker_environment
from harness.execution.estimate import Estimate
from harness.execution.executor import EXECUTORS, Executor
from harness.execution.plan import CODE, Plan, Task, make_plan, wanted_variants
from harness.execution.run import Listener, Runner
from harness.execution.sources import corpus_of, missing_checkpoints, without_network
from harness.items.blimp import BlimpPairs, load_blimp
from harness.records.environment import Environment, available_cores, snapshot
from harness.records.hashing import code_digest, digest, short
from harness.records.objects import Objects
from harness.records.privacy import all_without_private
from harness.records.run_folder import RunFolder, create_run, find_runs, with_machines
from harness.records.shared_runs import SharedRun, take_up
from harness.suites.loader import NamedSuite, load_suite, with_local

_BUDGETS = ("deadlines", "memory_limits")
"""Tables of a suite that decide whether a task ends, and nothing that it finds: a run goes on with others."""


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    suite: str
    settings: tuple[str, ...]
    only: tuple[str, ...]
    skip: tuple[str, ...]
    offline: bool
    fresh: bool
    runs_dir: Path
    cache_dir: Path
    command: str
    dry_run: bool = False
    local: tuple[str, ...] = ()
    """``NAME=FOLDER``: checkpoints that stand in for published candidates."""
    executor: str = "local"
    """One of EXECUTORS; ``address`` and ``storage`` are those of a cluster."""
    address: str = ""
    storage: str = ""
    timed: bool = True
    """Whether speed is timed; a comparison of two revisions does that itself."""


@dataclass(frozen=True)
class Job:
    """A plan with the run folder that it fills."""

    plan: Plan
    folder: RunFolder
    runner: Runner
    pending: list[Task]
    estimate: Estimate
    missing: tuple[str, ...] = ()
    """Candidates that cannot be had without a network, whose variants will be skipped."""
    executor: Executor | None = None
    """A cluster's; None for this machine's, which begins with the run."""
    shared: SharedRun | None = None
    """The records of a run on a cluster in its storage."""

    def run(self, listener: Listener) -> None:
        """Run what is pending; see :meth:`harness.execution.run.Runner.run`."""
        if self.executor is None:
            self.runner.run(listener)
            return
        with closing(self.executor):
            try:
                self.runner.run(listener)
            finally:  # with nodes that came meanwhile
                try:
                    folder = with_machines(self.folder, self.executor.machines())
                    if self.shared:
                        self.shared.describe(folder)
                except HarnessError as error:
                    print(error, file=sys.stderr)

    def failed(self) -> int:
        """How many tasks of the plan ended otherwise than well; skipped ones do not count."""
        mine = {task.hash for task in self.plan.tasks}
        statuses = self.folder.store.statuses().items()
        return sum(task in mine and status not in ("ok", "skipped") for task, status in statuses)


def begin(request: Request) -> Job:
    """Check the request, make the plan, and find the run to resume or make a new one.

    A run is resumed when the suite with its settings, the candidates, the corpus, the machine, the versions and the
    code are those it was begun with. Raises HarnessError for anything that is wrong with the request.
    """
    if request.executor not in EXECUTORS:
        raise HarnessError(f"--executor: expected {' or '.join(EXECUTORS)}, not '{request.executor}'")
    if request.address and request.executor == "local":
        raise HarnessError("--address is a cluster's: see --executor ray")
    request = replace(request, storage=_location(request.storage))
    named = load_suite(request.suite, request.settings)
    own = with_local(named.suite.candidate, named.suite.candidates, request.local)
    named = replace(named, suite=named.suite.model_copy(update={"candidate": own}))
    here = request.executor == "local"
    wanted = wanted_variants(named.suite, request.only, request.skip, here)
    candidates = list({candidate.name: candidate for candidate, *_ in wanted}.values())
    warn_of_code(candidates)
    without = without_network(named.suite, candidates, request.offline)
    if without:
        os.environ.update(worker_environment(available_cores(), offline=True))
    corpus = corpus_of(named.suite, candidates, without)
    environment = snapshot(named.suite.threads or available_cores())
    items = named.suite.items
    blimp = load_blimp(items.blimp, items.blimp_pairs) if items.blimp else None
    plan = make_plan(named.suite, corpus, environment, request.only, request.skip, blimp, here)
    identity = _identity(named, corpus, environment, blimp)
    objects = Objects.at(request.storage) if request.storage and not request.dry_run else None
    if objects:
        objects.check()
    executor = None if request.dry_run else _executor(request, plan, environment, short(identity), bool(without))
    shared = None
    try:
        folder = _folder(request, named, corpus, environment, identity, objects if executor else None)
        if executor:
            folder = with_machines(folder, executor.machines())
        elif "machines" in folder.info and not request.dry_run:  # begun on a cluster; what is timed now is timed here
            folder = with_machines(folder, [{**environment.as_dict(), "kind": "", "nodes": 1}])
        if objects and executor:
            shared = SharedRun(objects, folder)
            folder = shared.catch_up(folder)
    except BaseException:
        if executor:
            executor.close()
        raise
    runner = Runner(
        folder,
        plan,
        corpus,
        environment,
        request.cache_dir,
        offline=bool(without),
        blimp=blimp,
        timed=request.timed,
        executor=executor,
        storage=request.storage,
        shared=shared,
    )
    pending = runner.pending()
    missing = tuple(candidate.name for candidate in missing_checkpoints(candidates)) if without else ()
    estimate = Estimate(pending, request.cache_dir, corpus.hash)
    return Job(plan, folder, runner, pending, estimate, missing, executor, shared)


def _location(given: str) -> str:
    """A storage as workers find it, wherever they run: a folder's whole path, or an address as it is."""
    return given if not given or "://" in given else str(Path(given).expanduser().absolute())


def _executor(request: Request, plan: Plan, environment: Environment, run: str, offline: bool) -> Executor | None:
    """The cluster's executor, connected; None for this machine's, which is begun with the run."""
    if request.executor == "local":
        if kinds := sorted({task.subject.machine for task in plan.tasks} - {""}):
            raise HarnessError(f"variants ask for machines of the kinds {', '.join(kinds)}: see --executor ray")
        return None
    from harness.execution.ray_executor import RayExecutor

    return RayExecutor(run, plan, environment, offline, request.address, request.storage)


def _identity(named: NamedSuite, corpus: Corpus, environment: Environment, blimp: BlimpPairs | None) -> str:
    """Names everything that must be equal for a run to be resumed."""
    suite = named.suite.model_dump(mode="json")
    candidates = [resolve(name, named.suite.candidate).description(corpus.hash) for name in named.suite.candidates]
    engines = {name.partition("/")[0] for name in named.suite.variants}
    versions = {engine: engine_kind(engine).versions() for engine in sorted(engines)}
    pairs = blimp.hash if blimp else ""
    measured = {key: value for key, value in suite.items() if key not in _BUDGETS}
    return digest([measured, corpus.hash, pairs, environment.hash, code_digest(*CODE), candidates, versions])


def _folder(
    request: Request,
    named: NamedSuite,
    corpus: Corpus,
    environment: Environment,
    identity: str,
    objects: Objects | None,
) -> RunFolder:
    if not request.fresh:
        mine = [run for run in find_runs(request.runs_dir) if run.info.get("identity") == identity]
        last = mine[-1] if mine else None
        if found := take_up(objects, identity, request.runs_dir, last) if objects else last:
            return found
    info = {
        "suite_name": named.name,
        "suite": named.suite.model_dump(mode="json"),
        "corpus": {"name": corpus.name, "note": corpus.note, "hash": corpus.hash},
        "command": request.command,
        "environment": environment.as_dict(),
    }
    info = all_without_private(info)
    if request.dry_run:
        return RunFolder(request.runs_dir / named.name, info)
    return create_run(request.runs_dir, named.name, identity, info)
