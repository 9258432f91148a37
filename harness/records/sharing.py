"""Equal parts of records held once: thousands of records name the same run, variants and protocols."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.records.metrics import METRICS
from harness.records.record import Record

_READ_FROM_SAMPLES = ("control_seconds",)
"""What reports take from the readings of a timing rather than from their median."""


class Sharing:
    """Makes records share what they have in common with those seen before, which halves what a run takes in memory.

    Nothing changes the dictionaries of a record, so that they can be shared like its texts.
    """

    def __init__(self) -> None:
        self._seen: dict[Any, Any] = {}

    def share(self, record: Record) -> Record:
        """The record itself, which is to be new: nobody else holds it yet, so that it can be changed though frozen."""
        once, own = self._seen.setdefault, vars(record)
        for name in ("run", "task", "kind", "status", "environment", "subject"):
            own[name] = once(own[name], own[name])
        own["corpus"] = self._alike(record.corpus)
        if not record.conditions:
            own["conditions"] = once("no conditions", record.conditions)
        if (fact := record.fact) is not None:
            own = vars(fact)
            own["metric"] = METRICS[fact.metric].name
            own["protocol"] = self._alike(fact.protocol)
            if not fact.samples:
                own["samples"] = once("no samples", fact.samples)
        return record

    def _alike(self, value: dict[str, Any]) -> Any:
        return self._seen.setdefault(("as", repr(value)), value)


def for_reports(record: Record) -> Record:
    """A record without what no report and no comparison looks at: what its worker printed, and the raw readings of
    speed, memory and energy, whose medians are the fact's value."""
    fact = record.fact
    if fact is not None and fact.samples and _is_raw(fact.metric):
        return replace(record, fact=replace(fact, samples=[]), stderr_tail="")
    return replace(record, stderr_tail="") if record.stderr_tail else record


def _is_raw(metric: str) -> bool:
    return metric not in _READ_FROM_SAMPLES and METRICS[metric].measure in ("speed", "memory", "energy")
