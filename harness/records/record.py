"""One measured fact, as it is stored: a JSON object on a line of ``records.jsonl``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from harness.records.json_text import parse_json
from harness.records.metrics import METRICS
from harness.stats.intervals import Estimate

SCHEMA_VERSION = 1

Status = Literal["ok", "failed", "timeout", "out-of-memory", "crashed", "skipped", "interrupted"]


@dataclass(frozen=True)
class Subject:
    """What was measured: a variant, where its weights come from, and the kind of machine that it was asked for on."""

    variant: str
    candidate: str
    family: str
    origin: str
    engine: str = ""
    precision: str = ""
    device: str = ""
    weights_hash: str = ""
    tokenizer_hash: str = ""
    machine: str = ""

    @property
    def at(self) -> str:
        """``@KIND``, the kind of machine that was asked for; empty where none was."""
        return f"@{self.machine}" if self.machine else ""

    @property
    def place(self) -> str:
        """What timings must share to be held against each other: the device, and the kind of machine, ``cpu@small``."""
        return self.device + self.at


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
        body = parse_json(line)
        if not isinstance(body, dict):
            raise ValueError("expected a JSON object")
        version = body.get("schema_version")
        if not isinstance(version, int):
            raise ValueError("'schema_version' is missing")
        if version < 1:
            raise ValueError(f"there was no schema version {version}")
        if version > SCHEMA_VERSION:
            raise ValueError(f"schema version {version} is newer than {SCHEMA_VERSION}: use a newer harness")
        _check(body, _RECORD, _OF_RECORD, "")
        _check(body["subject"], _SUBJECT, _OF_SUBJECT, "subject.")
        body["subject"] = Subject(**body["subject"])
        if (fact := body.get("fact")) is not None:
            _check(fact, _FACT, _OF_FACT, "fact.")
            if fact["metric"] not in METRICS:
                raise ValueError(f"unknown metric '{fact['metric']}'")
            body["fact"] = Fact(**fact)
        if body["status"] not in _STATUSES:
            raise ValueError(f"'{body['status']}' is no status: expected {', '.join(_STATUSES)}")
        if not all(type(value) is str for value in body.get("corpus", {}).values()):
            raise ValueError("'corpus' must hold texts")
        return cls(**body)


_Types = Mapping[str, tuple[type, ...]]


def _check(body: dict[str, Any], types: _Types, needed: frozenset[str], where: str) -> None:
    """Raise ValueError for a key that is missing or unknown and a value of another type, and for a number that no float
    can be. It runs once or more a line of a file of records, so it is kept short."""
    if not needed <= body.keys():
        raise ValueError(f"'{where}{min(needed - body.keys())}' is missing")
    for key, value in body.items():
        expected = types.get(key)
        if expected is None:
            raise ValueError(f"unknown key '{where}{key}'")
        if type(value) not in expected:
            raise ValueError(f"'{where}{key}' must be {_NAMED[expected]}, not {json.dumps(value)[:40]}")
        if expected is _NUMBER and value is not None and not -_LARGEST <= value <= _LARGEST:
            raise ValueError(f"'{where}{key}' is too large for a number")


def _needed(cls: type) -> frozenset[str]:
    return frozenset(each.name for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING)


_LARGEST = sys.float_info.max
_TEXT, _COUNT, _LIST, _TABLE = (str,), (int,), (list,), (dict,)
_NUMBER, _ROUND, _PART = (float, int, type(None)), (int, type(None)), (dict, type(None))
_NAMED = {_TEXT: "a text", _COUNT: "a whole number", _LIST: "a list", _TABLE: "an object", _NUMBER: "a number",
          _ROUND: "a whole number", _PART: "an object"}  # fmt: skip
_OTHER = {"subject": _TABLE, "corpus": _TABLE, "conditions": _TABLE, "protocol": _TABLE, "fact": _PART, "round": _ROUND,
          "samples": _LIST, "n": _COUNT, "facts": _COUNT, "schema_version": _COUNT, "value": _NUMBER, "low": _NUMBER,
          "high": _NUMBER, "duration_seconds": _NUMBER}  # fmt: skip
"""What fields hold in JSON; the rest are texts."""
_RECORD, _SUBJECT, _FACT = (
    {each.name: _OTHER.get(each.name, _TEXT) for each in fields(c)} for c in (Record, Subject, Fact)
)
_OF_RECORD, _OF_SUBJECT, _OF_FACT = (_needed(each) for each in (Record, Subject, Fact))
_STATUSES = get_args(Status)
