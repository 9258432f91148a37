"""What a run records: how each task ended, as facts with their provenance and a closing record."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace

from harness.execution.executor import TIMING, Result, Timed
from harness.execution.orders import Prepared
from harness.execution.plan import Task
from harness.records.record import Record
from harness.records.run_folder import RunFolder
from harness.records.shared_runs import SharedRun


@dataclass(frozen=True)
class Journal:
    """The records of a run, in its folder and, on a cluster, in its storage.

    ``environment`` is the hash of this machine's, for results that name no other; ``scored`` says which text and
    questions the scores are of.
    """

    folder: RunFolder
    environment: str
    scored: Mapping[str, str]
    shared: SharedRun | None = None

    def close(self, task: Task, result: Result, prepared: Prepared | None) -> None:
        """Store how a task ended, and with which weights. Raises HarnessError where the disk refuses."""
        facts = result.outcome.facts if result.outcome else []
        where = {"node": result.node} if result.node else {}
        seen = result.outcome.conditions if result.outcome else _now()
        subject = task.subject
        if prepared is not None:
            found = prepared.checkpoint
            subject = replace(subject, weights_hash=found.weights_hash, tokenizer_hash=found.tokenizer_hash)
        closing = Record(
            run=self.folder.name,
            task=task.hash,
            kind=task.kind,
            subject=subject,
            status=result.status,
            environment=result.environment or self.environment,
            facts=len(facts),
            round=task.round,
            reason=result.reason,
            stderr_tail="" if result.status in ("ok", "skipped") else result.stderr_tail,
            duration_seconds=round(result.seconds, 3),
            conditions={**where, **(result.around if task.kind == "time" else {}), **seen},
        )
        about = replace(closing, facts=0, stderr_tail="", conditions={})
        corpus = dict(self.scored) if task.kind == "score" else {}
        self._append([*(replace(about, fact=fact, corpus=corpus) for fact in facts), closing])

    def timings(self) -> dict[str, Timed]:
        """The timings of the run that are finished, those of other plans too: reports have them all."""
        return {name: _timed(closing) for name, closing in self._timing_closings().items()}

    def void(self, names: Collection[str]) -> None:
        """Close finished timings that are to be taken again on another node, so that no report mixes the two."""
        closings = self._timing_closings() if names else {}
        for name in names:
            closing = replace(closings[name], status="interrupted", reason="to be timed again on another node")
            self._append([replace(closing, facts=0, duration_seconds=0.0, conditions=_now())])

    def _timing_closings(self) -> dict[str, Record]:
        closings = self.folder.store.closings(with_conditions=True)
        return {each.task: each for each in closings if each.kind in TIMING and each.status == "ok"}

    def _append(self, records: list[Record]) -> None:
        self.folder.store.append(records)
        if self.shared:
            self.shared.add(records)


def finite(result: Result) -> Result:
    """A result whose numbers are numbers: a NaN or an infinity anywhere makes it a failure that names the metric."""
    for fact in result.outcome.facts if result.outcome else ():
        try:
            json.dumps(asdict(fact), allow_nan=False)
        except ValueError:
            reason = f"{fact.metric} holds a number that is not finite (value {fact.value})"
            return replace(result, status="failed", reason=reason, outcome=None)
    return result


def _timed(closing: Record) -> Timed:
    return Timed(closing.subject.machine, closing.conditions.get("node", ""), closing.environment)


def _now() -> dict[str, float]:
    """A condition that tells one closing of a task from another like it."""
    return {"unix_seconds": round(time.time(), 3)}
