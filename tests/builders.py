"""Subjects, records and rows made by hand, for tests of everything that reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.records.record import Fact, Record, Subject
from harness.records.rows import Row, Value
from harness.stats.intervals import Estimate, clustered_ratio, exponential, median_estimate

BYTES_A_TOKEN = 4


def make_subject(
    variant: str = "mini/torch/fp32/cpu",
    family: str = "causal",
    origin: str = "trained",
    tokenizer: str = "tokenizer-1",
    weights: str = "weights-1",
) -> Subject:
    """The subject of a variant; a name without slashes is a candidate on its own."""
    candidate, *rest = variant.split("/")
    engine, precision, device = rest or ("", "", "")
    return Subject(variant, candidate, family, origin, engine, precision, device, weights, tokenizer)


def make_record(
    subject: Subject | None = None,
    task: str = "task-1",
    kind: str = "score",
    fact: Fact | None = None,
    facts: int = 0,
    **other: Any,
) -> Record:
    """A record of run ``run-1``, good unless told otherwise."""
    other.setdefault("status", "ok")
    return Record("run-1", task, kind, subject or make_subject(), environment="env-1", fact=fact, facts=facts, **other)


def make_task(
    kind: str, subject: Subject, *facts: Fact, round: int | None = None, status: str = "ok", reason: str = ""
) -> list[Record]:
    """All records of a task that closed: its facts, then the closing record."""
    task = f"{kind} {subject.variant} {round}"
    closing = make_record(subject, task, kind, facts=len(facts), round=round, status=status, reason=reason)
    return [*(make_record(subject, task, kind, fact, round=round, status=status) for fact in facts), closing]


def document_sums(nats: Sequence[float], tokens: int = 100) -> list[dict[str, float]]:
    """The sums of documents of ``tokens`` tokens each, as quality facts keep them."""
    return [
        {"document": index, "nll": each, "tokens": tokens, "bytes": tokens * BYTES_A_TOKEN}
        for index, each in enumerate(nats)
    ]


def quality_fact(metric: str, nats: Sequence[float], tokens: int = 100) -> Fact:
    """A fact about quality from the nats of each document."""
    estimate, sums = _quality(metric, nats, tokens), document_sums(nats, tokens)
    protocol = {"protocol": "block", "block_size": 128, "tokens_scored": tokens * len(nats)}
    return Fact(metric, estimate.value, estimate.low, estimate.high, estimate.method, estimate.n, sums, protocol)


def single(value: float) -> Value:
    """A metric that was read once."""
    return Value(Estimate(value, None, None, 1, ""))


def timed(readings: Sequence[float], first_round: int = 0) -> Value:
    """A metric with one reading a round."""
    return Value(median_estimate(readings), dict(enumerate(readings, first_round)))


def scored(metric: str, nats: Sequence[float], tokens: int = 100, first_document: int = 0) -> Value:
    """A metric of quality from the nats of each document."""
    documents = dict(enumerate(document_sums(nats, tokens), first_document))
    return Value(_quality(metric, nats, tokens), {}, documents)


def make_row(
    variant: str = "mini/torch/fp32/cpu",
    metrics: Mapping[str, Value] | None = None,
    family: str = "causal",
    tokenizer: str = "tokenizer-1",
    status: str = "ok",
    reason: str = "",
) -> Row:
    """A row with these metrics."""
    return Row(make_subject(variant, family, tokenizer=tokenizer), status, reason, dict(metrics or {}))


def _quality(metric: str, nats: Sequence[float], tokens: int) -> Estimate:
    if metric.endswith("bits_per_byte"):
        return clustered_ratio([each / math.log(2) for each in nats], [tokens * BYTES_A_TOKEN] * len(nats))
    return exponential(clustered_ratio(nats, [tokens] * len(nats)))
