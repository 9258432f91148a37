"""Runs a plan: resumes what is there, hands tasks to the executor, and stores what comes back."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from harness.candidates.artefacts import Seal, is_broken, seal_of
from harness.corpora.corpus import Corpus, excerpt
from harness.engines.base import Setup
from harness.errors import HarnessError
from harness.execution.interrupts import Interrupts
from harness.execution.local import LocalExecutor, Result
from harness.execution.memory_limit import MemoryLimit
from harness.execution.orders import MachineOrder, Prepared, WorkOrder
from harness.execution.plan import Plan, Task
from harness.items.blimp import BlimpPairs
from harness.items.questionnaire import Questionnaire, Quotas, draw_up
from harness.quality.family import Scoring
from harness.records.environment import Environment, conditions
from harness.records.record import Record, Subject
from harness.records.run_folder import RunFolder
from harness.speed.timing import Timing

PROMPT_BYTES = 40_000
PREPARING = ("candidate", "variant")
TIMING = ("limits", "load", "time")
_BUDGET = {"candidate": "prepare", "variant": "prepare", "score": "score", "memory": "time", "limits": "time",
           "load": "time", "time": "time"}  # fmt: skip
"""The key of ``[deadlines]`` and ``[memory_limits]`` that holds for a kind of task."""


class Listener(Protocol):
    """Hears how a run goes."""

    def began(self, task: Task, done: int, total: int) -> None:
        """A task begins, after ``done`` of ``total``."""

    def progressed(self, share: float, word: str) -> None:
        """The current task says how far it is."""

    def ended(self, task: Task, result: Result) -> None:
        """A task ended."""


@dataclass
class RunState:
    """What is known while a run goes on: hand-overs of prepare tasks, and why some could not be prepared."""

    prepared: dict[str, Prepared] = field(default_factory=dict)
    seals: dict[str, list[tuple[Path, Seal]]] = field(default_factory=dict)
    unavailable: dict[str, Result] = field(default_factory=dict)


class Runner:
    """Runs the tasks of a plan that have not finished yet, in order, one at a time.

    What cannot be prepared is recorded once, as its variant's row, and its measurements are passed over. A prepare
    task is run only for tasks that still need it; what it makes is cached, so a resumed run looks it up.
    """

    def __init__(
        self,
        folder: RunFolder,
        plan: Plan,
        corpus: Corpus,
        environment: Environment,
        cache_dir: Path,
        offline: bool,
        blimp: BlimpPairs | None = None,
        timed: bool = True,
    ) -> None:
        self.folder, self.plan, self.corpus, self.environment = folder, plan, corpus, environment
        self.cache_dir, self.offline = cache_dir, offline
        self._tasks = tuple(task for task in plan.tasks if timed or task.kind not in TIMING)
        split = plan.suite.evaluation.split
        size = plan.suite.evaluation.excerpt_bytes
        self._documents = tuple(excerpt(doc, size) if size else doc for doc in corpus.splits[split])
        quotas = Quotas(**plan.suite.items.model_dump(exclude={"blimp", "blimp_pairs"}))
        self._questions = draw_up(self._documents, quotas, blimp)
        self._prompt_text = _beginning(corpus, PROMPT_BYTES)
        self._state = RunState()
        self._interrupts = Interrupts()

    def pending(self) -> list[Task]:
        """Tasks that have no good record yet, with the prepare tasks that these need.

        A variant that this machine cannot run stays skipped; what is skipped because its candidate could not be had is
        tried again.
        """
        statuses = self.folder.store.statuses()

        def finished(task: Task) -> bool:
            status = statuses.get(task.hash)
            if task.kind == "variant" and status == "skipped":
                return statuses.get(task.needs[0]) == "ok"
            if task.kind not in PREPARING and task.needs and statuses.get(task.needs[-1]) == "skipped":
                return statuses.get(task.needs[0]) == "ok"
            return status == "ok"

        wanted = {task.hash for task in self._tasks if not finished(task)}
        for task in reversed(self._tasks):
            if task.hash in wanted:
                wanted.update(task.needs)
        return [task for task in self._tasks if task.hash in wanted]

    def timing_orders(self) -> dict[str, WorkOrder]:
        """What a worker needs to time each variant that this runner has prepared, by the variant's name."""
        first = [task for task in self.plan.tasks if task.kind == "time" and task.round == 0]
        orders = {task.subject.variant: self._order(task) for task in first if task.needs[-1] in self._state.prepared}
        return {name: order for name, order in orders.items() if isinstance(order, WorkOrder)}

    def run(self, listener: Listener) -> None:
        """Run what is pending. KeyboardInterrupt leaves a record of the interrupted task and passes on.

        Raises HarnessError when another run is writing to the same folder, or when records cannot be written.
        """
        lock = FileLock(self.folder.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise HarnessError(f"another run is writing to {self.folder.path}") from None
        with lock, self._interrupts:
            executor = LocalExecutor(self.environment.threads, self.offline)
            tasks = self.pending()
            for index, task in enumerate(tasks):
                if task.kind in PREPARING or not task.needs or task.needs[-1] in self._state.prepared:
                    listener.began(task, index, len(tasks))
                    listener.ended(task, self._run_task(task, executor, listener))

    def _run_task(self, task: Task, executor: LocalExecutor, listener: Listener) -> Result:
        for need in task.needs:
            self._renew(need, executor, listener)
        before = conditions()
        result = self._unprepared(task)
        if result is None:
            order = self._order(task)
            seconds = getattr(self.plan.suite.deadlines, _BUDGET[task.kind])
            try:
                self._interrupts.check()
                result = executor.run(
                    order, seconds, listener.progressed, task.kind == "candidate", self._memory_limit(task)
                )
            except KeyboardInterrupt:
                self._store(task, Result("interrupted", "Ctrl-C", None, "", 0.0), before)
                raise
            result = _finite(result)
            self._tell_damage(result)
            self._keep(task, result)
        self._store(task, result, before)
        return result

    def _renew(self, need: str, executor: LocalExecutor, listener: Listener) -> None:
        """Prepare again what another process has changed or removed since this run prepared it.

        Files are only looked at here, not read; the prepare task reads them, and makes again what is damaged.
        """
        seals = self._state.seals.get(need, [])
        if not any(is_broken(folder, seal) for folder, seal in seals):
            return
        task = next(task for task in self._tasks if task.hash == need)
        print(f"the files of {task.subject.variant} changed since they were prepared: checking them", file=sys.stderr)
        before = self._state.prepared.pop(need)
        result = self._run_task(task, executor, listener)
        after = self._state.prepared.get(need)
        if after is not None and after.checkpoint.weights_hash != before.checkpoint.weights_hash:
            reason = f"the weights of {task.subject.candidate} changed while the run was going on"
            self._state.unavailable[need] = replace(result, status="failed", reason=reason, outcome=None)

    def _tell_damage(self, result: Result) -> None:
        for name in result.outcome.conditions.get("damaged", []) if result.outcome else []:
            print(f"artefact {name} was damaged, and was made again", file=sys.stderr)

    def _memory_limit(self, task: Task) -> MemoryLimit | None:
        key = _BUDGET[task.kind]
        size = getattr(self.plan.suite.memory_limits, key)
        return MemoryLimit(size, f"memory_limits.{key}") if size else None

    def _unprepared(self, task: Task) -> Result | None:
        """Why a task cannot be done: something that it needs could not be prepared."""
        for need in task.needs:
            if (cause := self._state.unavailable.get(need)) is not None:
                result = Result(cause.status, cause.reason, None, cause.stderr_tail, 0.0)
                self._state.unavailable[task.hash] = result
                return result
        return None

    def _keep(self, task: Task, result: Result) -> None:
        if task.kind not in PREPARING:
            return
        if result.outcome is not None and result.outcome.prepared is not None:
            made = result.outcome.prepared
            self._state.prepared[task.hash] = made
            self._state.seals[task.hash] = [(folder, seal_of(folder)) for folder in {made.checkpoint.path, made.folder}]
        else:
            self._state.unavailable[task.hash] = result

    def _order(self, task: Task) -> WorkOrder | MachineOrder:
        if task.candidate is None:
            return MachineOrder(task.subject.device, self.environment.threads)
        suite = self.plan.suite
        generation = suite.generation
        return WorkOrder(
            kind=task.kind,
            candidate=task.candidate,
            engine=task.subject.engine,
            setup=Setup(
                task.subject.precision,
                task.subject.device,
                self.environment.threads,
                task.candidate.spec.trust_remote_code,
            ),
            cache_dir=self.cache_dir,
            offline=self.offline,
            corpus_name=suite.corpus,
            corpus_hash=self.corpus.hash,
            documents=self._documents if task.kind == "score" else (),
            questions=self._questions if task.kind == "score" else Questionnaire(),
            prompt_text=self._prompt_text,
            sample_prompt=generation.prompt if task.candidate.family == "causal" else generation.masked_prompt,
            sample_tokens=generation.new_tokens,
            scoring=Scoring(
                **suite.evaluation.model_dump(exclude={"split", "excerpt_bytes"}),
                detokenise=self.corpus.name == "wikitext-2",
            ),
            timing=Timing(**suite.timing.model_dump()),
            prepared=self._state.prepared[task.needs[-1]] if task.needs else None,
        )

    def _store(self, task: Task, result: Result, before: dict[str, object]) -> None:
        facts = result.outcome.facts if result.outcome else []
        conditions_around = {"before": before, "after": conditions()}
        seen = result.outcome.conditions if result.outcome else {}
        closing = Record(
            run=self.folder.name,
            task=task.hash,
            kind=task.kind,
            subject=self._subject(task),
            status=result.status,
            environment=self.environment.hash,
            facts=len(facts),
            round=task.round,
            reason=result.reason,
            stderr_tail="" if result.status in ("ok", "skipped") else result.stderr_tail,
            duration_seconds=round(result.seconds, 3),
            conditions={**conditions_around, **seen} if task.kind == "time" else seen,
        )
        split = self.plan.suite.evaluation.split
        corpus = self.corpus.provenance(split) if task.kind == "score" else {}
        if corpus:
            corpus["items"] = self._questions.hash
        if corpus and self.plan.suite.evaluation.excerpt_bytes:
            corpus["excerpt_bytes"] = str(self.plan.suite.evaluation.excerpt_bytes)
        measured = [
            replace(closing, fact=fact, facts=0, corpus=corpus, stderr_tail="", conditions={}) for fact in facts
        ]
        self.folder.store.append([*measured, closing])

    def _subject(self, task: Task) -> Subject:
        prepared = self._state.prepared.get(task.hash) or (
            self._state.prepared.get(task.needs[-1]) if task.needs else None
        )
        if prepared is None:
            return task.subject
        return replace(
            task.subject,
            weights_hash=prepared.checkpoint.weights_hash,
            tokenizer_hash=prepared.checkpoint.tokenizer_hash,
        )


def _finite(result: Result) -> Result:
    """A result whose numbers are numbers: a NaN or an infinity anywhere makes it a failure that names the metric."""
    for fact in result.outcome.facts if result.outcome else ():
        try:
            json.dumps(asdict(fact), allow_nan=False)
        except ValueError:
            reason = f"{fact.metric} holds a number that is not finite (value {fact.value})"
            return Result("failed", reason, None, result.stderr_tail, result.seconds)
    return result


def _beginning(corpus: Corpus, size: int) -> str:
    """Real text to time with, from the validation split."""
    text = ""
    for document in corpus.splits["validation"]:
        text += document.text
        if len(text) >= size:
            break
    return text[:size]
