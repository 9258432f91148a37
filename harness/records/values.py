"""A metric of a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harness.stats.intervals import Estimate


@dataclass(frozen=True)
class Value:
    """A metric of a row. ``rounds`` holds one reading a timing round, ``documents`` the sums a document, where the
    metric has them; paired comparisons are made of these. ``disturbed`` are the rounds whose readings were taken while
    the machine was busy with something else: the estimate keeps them, a verdict leaves them out."""

    estimate: Estimate
    rounds: dict[int, float] = field(default_factory=dict)
    documents: dict[int, dict[str, float]] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    disturbed: frozenset[int] = frozenset()
