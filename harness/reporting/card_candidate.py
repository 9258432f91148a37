"""A candidate as the cards tell of it: its part of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, nearest
from harness.records.record import Record
from harness.records.rows import Row, make_rows
from harness.reporting.metric_table import status

if TYPE_CHECKING:
    from harness.records.stored_run import StoredRun


@dataclass(frozen=True)
class CardCandidate:
    """A candidate and its part of a run; ``rows`` and ``records`` are its own, ``run_rows`` those of all."""

    name: str
    family: str
    origin: str
    rows: list[Row]
    records: list[Record]
    run_rows: list[Row]
    run_records: list[Record]
    info: Mapping[str, Any]

    @property
    def trained(self) -> Mapping[str, Any]:
        """How it was trained; empty where it was not trained in the run."""
        facts = [record.fact for record in self.records if record.fact and record.fact.metric == "validation_loss"]
        return facts[-1].protocol if facts else {}

    @property
    def teacher(self) -> str:
        """The candidate that it comes from; empty where there is none."""
        return str(self.trained.get("teacher") or self.described.get("teacher") or "")

    @property
    def described(self) -> Mapping[str, Any]:
        """What the suite itself says of it."""
        found: Mapping[str, Any] = self.info.get("suite", {}).get("candidate", {}).get(self.name, {})
        return found

    @property
    def title(self) -> str:
        """Its title, on one line; its name where it has none."""
        return " ".join(str(self.described.get("title") or self.name).split())

    @property
    def checkpoint(self) -> Row | None:
        """The row that its quality is told of: fp32 torch, else the first variant that is as good as its parent."""
        good = [row for row in self.rows if status(row) == "ok"]
        itself = [row for row in good if (row.subject.engine, row.subject.precision) == ("torch", "fp32")]
        return next(iter([*itself, *good]), None)


def card_candidate(run: StoredRun, wanted: str | None) -> CardCandidate:
    """The candidate of this name, or the only one. Raises HarnessError where there is none of it, or no only one."""
    records = run.records()
    known = {record.subject.candidate: record.subject for record in records if record.kind != "limits"}
    if not known:
        raise HarnessError(f"run '{run.name}' has no candidate yet: nothing has been measured")
    if wanted is None and len(known) > 1:
        raise HarnessError(f"run '{run.name}' has several candidates; --candidate takes one of: {', '.join(known)}")
    name = next(iter(known)) if wanted is None else wanted
    if name not in known:
        raise HarnessError(f"run '{run.name}' has no candidate '{name}'{nearest(name, known)}")
    rows, subject = make_rows(records), known[name]
    return CardCandidate(
        name=name,
        family=subject.family,
        origin=subject.origin,
        rows=[row for row in rows if row.subject.candidate == name],
        records=[record for record in records if record.subject.candidate == name],
        run_rows=rows,
        run_records=records,
        info=run.info,
    )
