"""One row a variant: what all its records say together. Every table, ranking and export is made from rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.records.metrics import METRICS
from harness.records.record import Fact, Record, Subject
from harness.records.roofline import fractions_of_limit, machine_limits
from harness.records.values import Value
from harness.stats.intervals import Estimate, median_estimate

_MEASURED = ("score", "memory", "time")


@dataclass(frozen=True)
class Row:
    """A variant with its status and its metrics. ``sample`` is text that it made from ``sample_prompt``."""

    subject: Subject
    status: str
    reason: str
    metrics: dict[str, Value]
    sample: str = ""
    sample_prompt: str = ""

    @property
    def variant(self) -> str:
        """``candidate/engine/precision/device``, and ``@kind`` where a kind of machine was asked for."""
        return self.subject.variant

    def value(self, metric: str) -> float | None:
        """The value of a metric, None where it was not measured."""
        found = self.metrics.get(metric)
        return found.estimate.value if found else None


def make_rows(records: Sequence[Record]) -> list[Row]:
    """Rows of all variants in records of finished tasks, in the order in which they were prepared.

    Where the limits of the machine were measured, a row says which fraction of them its variant reaches.
    """
    by_candidate: dict[str, list[Record]] = {}
    by_variant: dict[str, list[Record]] = {}
    for record in records:
        if record.kind == "candidate":
            by_candidate.setdefault(record.subject.candidate, []).append(record)
        elif record.kind != "limits":
            by_variant.setdefault(record.subject.variant, []).append(record)
    limits = machine_limits(records)
    return [
        _row(mine, by_candidate.get(mine[0].subject.candidate, []), limits.get(mine[0].subject.place, {}))
        for mine in by_variant.values()
    ]


def _row(mine: list[Record], shared: list[Record], limits: Mapping[str, float]) -> Row:
    closings = [record for record in mine if record.fact is None]
    bad = [record for record in closings if record.status != "ok"]
    facts = [(record, record.fact) for record in (*shared, *mine) if record.fact is not None]
    metrics: dict[str, list[tuple[Record, Fact]]] = {}
    for record, fact in facts:
        if fact.value is not None and METRICS[fact.metric].measure != "training":
            metrics.setdefault(fact.metric, []).append((record, fact))
    values = {name: _value(found, _disturbed(closings)) for name, found in metrics.items()}
    values |= fractions_of_limit(values, mine[0].subject.precision, limits)
    text = next((fact for _, fact in facts if fact.metric == "text"), None)
    missing = [kind for kind in _MEASURED if kind not in {record.kind for record in closings}]
    status, reason = (bad[0].status, _reason(bad[0])) if bad else ("ok", "")
    if not bad and missing:
        status, reason = "interrupted", f"not measured yet: {', '.join(missing)}"
    return Row(
        subject=max((record.subject for record in mine), key=lambda subject: bool(subject.weights_hash)),
        status=status,
        reason=reason,
        metrics=values,
        sample=text.text if text else "",
        sample_prompt=str(text.protocol.get("prompt", "")) if text else "",
    )


def _reason(record: Record) -> str:
    words = {"score": "scoring: ", "memory": "measuring memory: ", "load": "loading: ", "time": "timing: "}
    return words.get(record.kind, "") + record.reason


def _disturbed(closings: list[Record]) -> frozenset[int]:
    """The rounds in which a worker's readings were disturbed."""
    return frozenset(
        record.round
        for record in closings
        if record.kind == "time" and record.round is not None and record.conditions.get("disturbed")
    )


def _value(found: list[tuple[Record, Fact]], disturbed: frozenset[int]) -> Value:
    rounds = {record.round: fact.value for record, fact in found if record.round is not None and fact.value is not None}
    fact = found[-1][1]
    if rounds:
        busy = disturbed & rounds.keys() if found[-1][0].kind == "time" else frozenset()
        return Value(median_estimate(list(rounds.values())), rounds, protocol=fact.protocol, disturbed=busy)
    value = fact.value if fact.value is not None else 0.0
    documents = {int(sums["document"]): sums for sums in fact.samples if isinstance(sums, dict) and "document" in sums}
    return Value(Estimate(value, fact.low, fact.high, fact.n, fact.interval), {}, documents, fact.protocol)
