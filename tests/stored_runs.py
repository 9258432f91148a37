"""Whole stored runs made by hand, for tests of what compares them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from builders import make_subject, make_task, quality_fact

from harness.records.record import Fact, Record, Subject

VARIANT = "mini/torch/fp32/cpu"
QUIET = (100.0, 101.0, 99.5, 100.5, 99.0, 100.2)
"""Six readings of a quiet machine."""
NATS = (300.0, 340.0, 280.0, 310.0, 330.0, 290.0, 305.0, 325.0)
INFO: dict[str, Any] = {
    "suite_name": "mine",
    "created": "2026-01-01T00:00:00+00:00",
    "suite": {
        "timing": {"prompt_tokens": 128, "new_tokens": 64},
        "evaluation": {"split": "test", "excerpt_bytes": 0},
        "items": {"seed": 0, "context_words": 24},
    },
    "corpus": {"name": "letters", "hash": "abc"},
    "environment": {
        "hash": "env-1",
        "cpu": "Example CPU",
        "isa": ["avx2"],
        "cores": 2,
        "memory_bytes": 2**33,
        "gpus": [],
        "system": "Linux 6.1 x86_64",
        "python": "3.12.1",
        "versions": {"torch": "2.13.0"},
        "threads": 2,
        "governor": "powersave",
        "commit": "abc123",
        "dirty": False,
    },
}


@dataclass(frozen=True)
class HandMade:
    """A run that stands in no folder."""

    name: str
    info: dict[str, Any]
    kept: tuple[Record, ...]

    def records(self) -> list[Record]:
        return list(self.kept)


def a_run(name: str, *variants: list[Record], info: Mapping[str, Any] = INFO) -> HandMade:
    """A run of variants; each record took as long as its run's name, so that no two runs are the same measurements."""
    records = [replace(record, duration_seconds=float(len(name))) for variant in variants for record in variant]
    return HandMade(name, copy.deepcopy(dict(info)), tuple(records))


def a_variant(
    variant: str = VARIANT,
    exact: Mapping[str, float] | None = None,
    rounds: Mapping[str, Sequence[float]] | None = None,
    quality: Sequence[Fact] = (),
    memory: float | None = None,
    about: Subject | None = None,
    protocol: Mapping[str, Any] | None = None,
) -> list[Record]:
    """The records of a variant that was measured to its end: sizes, readings by metric and round, quality facts, a
    reading of memory."""
    subject = about or make_subject(variant)
    held = [] if memory is None else [Fact("peak_memory_bytes", value=memory, protocol={"baseline_bytes": memory / 2})]
    sizes = [Fact(metric, value=value) for metric, value in (exact or {}).items()]
    records = [
        *make_task("variant", subject, *sizes),
        *make_task("score", subject, *quality),
        *make_task("memory", subject, *held),
    ]
    readings = dict(rounds or {})
    for number in range(max((len(each) for each in readings.values()), default=1)):
        facts = [
            Fact(metric, value=each[number], protocol=dict(protocol or {}))
            for metric, each in readings.items()
            if number < len(each)
        ]
        records += make_task("time", subject, *facts, round=number)
    return records


def failed(variant: str = VARIANT, status: str = "failed", reason: str = "no kernel") -> list[Record]:
    """The records of a variant that could not be prepared."""
    return make_task("variant", make_subject(variant), status=status, reason=reason)


def perplexity(nats: Sequence[float] = NATS, **protocol: Any) -> Fact:
    """A perplexity of eight documents."""
    return quality_fact("perplexity", nats, **protocol)


def times(readings: Sequence[float], factor: float) -> list[float]:
    """Readings times a factor."""
    return [each * factor for each in readings]


def info_with(**tables: Any) -> dict[str, Any]:
    """What ``run.json`` says, with keys of a table changed: ``environment={"threads": 4}``."""
    changed = copy.deepcopy(INFO)
    for table, keys in tables.items():
        changed[table].update(keys)
    return changed
