"""One measured fact, as it is stored: a JSON object on a line of ``records.jsonl``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from harness.records.metrics import METRICS
from harness.stats.intervals import Estimate

SCHEMA_VERSION = 1

Status = Literal["ok", "failed", "timeout", "out-of-memory", "crashed", "skipped", "interrupted"]


@dataclass(frozen=True)
class Subject:
    """What was measured: a variant, and where its weights come from."""

    variant: str
    candidate: str
    family: str
    origin: str
    engine: str = ""
    precision: str = ""
    device: str = ""
    weights_hash: str = ""
    tokenizer_hash: str = ""


@dataclass(frozen=True)
class Fact:
    """What a task found out: one metric with its value, interval and raw samples.

    ``value``, ``low`` and ``high`` are in the metric's unit. ``samples`` are the raw readings or, for quality,
    the per-document sums that intervals and paired comparisons are made of. ``protocol`` holds everything that
    must be equal before two values may be compared. Text found (a generated sample) stands in ``text``.
    """

    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    n: int = 1
    samples: list[Any] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    @classmethod
    def of(cls, metric: str, estimate: Estimate, samples: list[Any], protocol: dict[str, Any]) -> Fact:
        """A metric with the value and the interval of an estimate."""
        return cls(
            metric=metric,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            interval=estimate.method,
            n=estimate.n,
            samples=samples,
            protocol=protocol,
        )


@dataclass(frozen=True)
class Record:
    """A fact with its provenance, or (``fact`` None) the closing record of a task.

    A task counts as finished when its closing record is there. That record says how many ``facts`` its attempt
    wrote before it; facts of an attempt that was killed before closing belong to no task and are ignored.
    """

    run: str
    task: str
    kind: str
    subject: Subject
    status: Status
    environment: str
    fact: Fact | None = None
    facts: int = 0
    corpus: dict[str, str] = field(default_factory=dict)
    round: int | None = None
    reason: str = ""
    stderr_tail: str = ""
    duration_seconds: float | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The record as one line of JSON, ``schema_version`` first; refuses NaN and infinities."""
        body = asdict(self)
        ordered = {"schema_version": body.pop("schema_version"), **body}
        return json.dumps(ordered, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Parse a line. Raises ValueError or TypeError, saying what is wrong with it."""
        body = _DECODER.decode(line)
        if not isinstance(body, dict):
            raise ValueError("expected a JSON object")
        version = body.get("schema_version")
        if not isinstance(version, int):
            raise ValueError("'schema_version' is missing")
        if version > SCHEMA_VERSION:
            raise ValueError(f"schema version {version} is newer than {SCHEMA_VERSION}: use a newer harness")
        body["subject"] = Subject(**body["subject"]) if "subject" in body else _missing("subject")
        body["fact"] = Fact(**body["fact"]) if body.get("fact") is not None else None
        if body["fact"] is not None and body["fact"].metric not in METRICS:
            raise ValueError(f"unknown metric '{body['fact'].metric}'")
        if unknown := body.keys() - _KEYS:
            raise ValueError(f"unknown key '{sorted(unknown)[0]}'")
        return cls(**body)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def _missing(key: str) -> Subject:
    raise ValueError(f"'{key}' is missing")


_KEYS = frozenset(each.name for each in fields(Record))
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
