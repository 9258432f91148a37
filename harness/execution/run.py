"""Runs a plan: resumes what is there, hands tasks to the executor, and what comes back to the journal."""

from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

from harness.corpora.corpus import Corpus, excerpt
from harness.engines.base import Setup
from harness.execution.executor import PREPARING, TIMING, Assignment, Executor, Result
from harness.execution.interrupts import Interrupts
from harness.execution.journal import Journal, finite
from harness.execution.local import LocalExecutor
from harness.execution.memory_limit import MemoryLimit
from harness.execution.orders import MachineOrder, WorkOrder
from harness.execution.plan import Plan, Task
from harness.execution.preparations import Preparations
from harness.execution.queue import Queue
from harness.items.blimp import BlimpPairs
from harness.items.questionnaire import Questionnaire, Quotas, draw_up
from harness.quality.family import Scoring
from harness.records.environment import Environment
from harness.records.run_folder import RunFolder
from harness.records.shared_runs import SharedRun
from harness.speed.timing import Timing

PROMPT_BYTES = 40_000
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


class Runner:
    """Runs the tasks of a plan that have not finished yet, in its order.

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
        executor: Executor | None = None,
        storage: str = "",
        shared: SharedRun | None = None,
    ) -> None:
        self.folder, self.plan, self.corpus, self.environment = folder, plan, corpus, environment
        self.cache_dir, self.offline = cache_dir, offline
        self._executor, self._storage, self._shared = executor, storage, shared
        self._by_hash = {task.hash: task for task in plan.tasks}
        self._tasks = tuple(task for task in plan.tasks if timed or task.kind not in TIMING)
        split = plan.suite.evaluation.split
        size = plan.suite.evaluation.excerpt_bytes
        self._documents = tuple(excerpt(doc, size) if size else doc for doc in corpus.splits[split])
        quotas = Quotas(**plan.suite.items.model_dump(exclude={"blimp", "blimp_pairs"}))
        self._questions = draw_up(self._documents, quotas, blimp)
        self._prompt_text = _beginning(corpus, PROMPT_BYTES)
        scored = {**corpus.provenance(split), "items": self._questions.hash}
        if size:
            scored["excerpt_bytes"] = str(size)
        self._journal = Journal(folder, environment.hash, scored, shared)
        self._preparations = Preparations()
        self._interrupts = Interrupts()

    def pending(self, again: Collection[str] = (), here: bool = True) -> list[Task]:
        """Tasks that have no good record yet or are to be done ``again``, with the prepare tasks that these need; not
        ``here``, on a cluster, with those of all timings, for any of them may have to be taken again.

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

        wanted = {task.hash for task in self._tasks if task.hash in again or not finished(task)}
        timed = not here and any(task.kind in TIMING and task.hash in wanted for task in self._tasks)
        for task in reversed(self._tasks):
            if task.hash in wanted or (timed and task.kind in TIMING):
                wanted.update(task.needs)
        return [task for task in self._tasks if task.hash in wanted]

    def timing_orders(self) -> dict[str, WorkOrder]:
        """What a worker needs to time each variant that this runner has prepared, by the variant's name."""
        first = [task for task in self.plan.tasks if task.kind == "time" and task.round == 0]
        orders = {
            task.subject.variant: self._order(task) for task in first if task.needs[-1] in self._preparations.done
        }
        return {name: order for name, order in orders.items() if isinstance(order, WorkOrder)}

    def run(self, listener: Listener) -> None:
        """Run what is pending. KeyboardInterrupt leaves a record of each interrupted task and passes on.

        Raises HarnessError when another run is writing to the same folder, or when records cannot be written.
        """
        with self.folder.locked(), self._shared or nullcontext(), self._interrupts:
            executor = self._executor or LocalExecutor(self.environment.threads, self.offline)
            again = executor.resume(self._journal.timings())
            self._journal.void(again)
            queue = Queue(self.pending(again, executor.here))
            try:
                self._work_off(queue, executor, listener)
            except BaseException as error:
                executor.cancel()
                for task in queue.running() if isinstance(error, KeyboardInterrupt) else ():
                    interrupted = Result("interrupted", "Ctrl-C", None, "", 0.0)
                    self._journal.close(task, interrupted, self._preparations.of(task))
                raise

    def _work_off(self, queue: Queue, executor: Executor, listener: Listener) -> None:
        while queue:
            while executor.room() and (task := queue.next()):
                if self._preparations.passed_over(task):
                    queue.end(task)
                elif broken := self._preparations.broken(task):
                    queue.put_back(task, self._by_hash[broken])
                else:
                    self._begin(task, queue, executor, listener)
            if queue.running():
                self._interrupts.check()
                ended = executor.wait(listener.progressed)
                self._end(ended.task, finite(ended.result), queue, executor.here, listener)
                self._journal.void(ended.again)
                for name in ended.again & self._by_hash.keys():
                    queue.add_again(self._by_hash[name])

    def _begin(self, task: Task, queue: Queue, executor: Executor, listener: Listener) -> None:
        listener.began(task, queue.begun - 1, queue.total)
        if (result := self._preparations.missing(task)) is not None:
            self._end(task, result, queue, executor.here, listener)
        else:
            executor.submit(self._assignment(task, executor.here))

    def _end(self, task: Task, result: Result, queue: Queue, here: bool, listener: Listener) -> None:
        seen = result.outcome.conditions if result.outcome else {}
        again = [f"artefact {name} was damaged, and was made again" for name in seen.get("damaged", ())]
        for trouble in (*again, *seen.get("storage", ())):
            print(trouble, file=sys.stderr)
        self._preparations.keep(task, result, sealed=here)
        self._journal.close(task, result, self._preparations.of(task))
        queue.end(task)
        listener.ended(task, result)

    def _memory_limit(self, task: Task) -> MemoryLimit | None:
        key = _BUDGET[task.kind]
        size = getattr(self.plan.suite.memory_limits, key)
        return MemoryLimit(size, f"memory_limits.{key}") if size else None

    def _assignment(self, task: Task, here: bool) -> Assignment:
        before = () if here else tuple(self._assignment(self._by_hash[need], here=True) for need in task.needs)
        seconds = getattr(self.plan.suite.deadlines, _BUDGET[task.kind])
        return Assignment(task, self._order(task), seconds, task.kind == "candidate", self._memory_limit(task), before)

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
            storage=self._storage,
            prepared=self._preparations.done[task.needs[-1]] if task.needs else None,
        )


def _beginning(corpus: Corpus, size: int) -> str:
    """Real text to time with, from the validation split."""
    text = ""
    for document in corpus.splits["validation"]:
        text += document.text
        if len(text) >= size:
            break
    return text[:size]
