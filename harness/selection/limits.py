"""Limits of a use case: ``metric <= number`` or ``metric >= number``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.records.metrics import METRICS

_LIMIT = re.compile(r"\s*(\w+)\s*(<=|>=)\s*([0-9.eE+-]+)\s*")


@dataclass(frozen=True)
class Limit:
    """A bound on a metric, in the metric's unit."""

    metric: str
    comparison: str
    bound: float

    def met_by(self, value: float) -> bool:
        """Whether a value keeps the limit."""
        return value <= self.bound if self.comparison == "<=" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.bound:.15g}"


def parse_limit(text: str) -> Limit:
    """Parse a limit. Raises ValueError that says what was expected."""
    expected = f"expected 'METRIC <= NUMBER' or 'METRIC >= NUMBER' with a known metric, not '{text}'"
    match = _LIMIT.fullmatch(text)
    if match is None or match[1] not in METRICS:
        raise ValueError(expected)
    try:
        return Limit(match[1], match[2], float(match[3]))
    except ValueError:
        raise ValueError(expected) from None
