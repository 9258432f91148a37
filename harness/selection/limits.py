"""Limits of a use case: ``metric <= amount`` or ``metric >= amount``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.errors import nearest
from harness.records.metrics import METRICS
from harness.records.values import Value

Standing = Literal["met", "missed", "uncertain"]
"""How a value stands to a limit."""

UNITS: Mapping[str, Mapping[str, float]] = {
    "bytes": {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "kB": 1e3, "MB": 1e6, "GB": 1e9,
              "TB": 1e12},
    "s": {"s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "min": 60},
    "fraction": {"%": 0.01},
    "parameters": {"k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9},
    "J/token": {"J/token": 1, "mJ/token": 1e-3},
    "tokens/s": {"tokens/s": 1},
    "bits/byte": {"bits/byte": 1},
    "bits/char": {"bits/char": 1},
}  # fmt: skip
"""What an amount may be given in, by the unit of the metric, and what one of it is in that unit."""

_LIMIT = re.compile(r"\s*(\S+?)\s*(<=|>=)\s*([0-9.eE+-]*[0-9.])\s*(\S*)\s*")
_AMOUNT = re.compile(r"\s*([0-9.eE+-]*[0-9.])\s*(\S+)\s*")
_SUFFIXES = ("_tokens_per_second", "_bytes", "_seconds")
_NO_ROW_HAS = ("training", "sample", "sweep")
_EXPECTED = "expected 'METRIC <= NUMBER' or 'METRIC >= NUMBER', such as 'peak_memory <= 1 GiB', not '{text}'"


@dataclass(frozen=True)
class Limit:
    """A bound on a metric, in the metric's unit."""

    metric: str
    comparison: str
    bound: float

    def met_by(self, value: float) -> bool:
        """Whether a value keeps the limit."""
        return value <= self.bound if self.comparison == "<=" else value >= self.bound

    def standing(self, value: Value) -> Standing:
        """How a value stands to the limit: met or missed where all of its :func:`reach` is on one side of the bound,
        which itself is allowed; uncertain where the bound lies within."""
        ends = [self.met_by(end) for end in reach(value, self.metric)]
        return "met" if all(ends) else "uncertain" if any(ends) else "missed"

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.bound:.15g}"


def reach(value: Value, metric: str) -> tuple[float, float]:
    """From where to where a metric's value may be: its 95 % interval; for a single reading of memory 5 % either way.

    Sizes are exact. Where there are too few rounds or documents for an interval, the value stands for itself, as it
    does when such variants are ranked; :func:`stands_alone` tells these.
    """
    from harness.selection.comparison import SINGLE_READING  # comes with numpy, which reading a suite can do without

    estimate = value.estimate
    if estimate.low is not None and estimate.high is not None:
        return min(estimate.low, estimate.value), max(estimate.high, estimate.value)
    if METRICS[metric].measure == "memory" and not value.rounds:
        return estimate.value * (1 - SINGLE_READING), estimate.value * (1 + SINGLE_READING)
    return estimate.value, estimate.value


def stands_alone(value: Value) -> bool:
    """Whether a value was read in rounds or documents, but in too few for an interval."""
    return value.estimate.low is None and bool(value.rounds or value.documents)


def parse_limit(text: str) -> Limit:
    """Parse a limit: a metric, by its name or by that without its unit (``peak_memory``), ``<=`` or ``>=``, a number,
    and its unit where it is not the metric's own: ``1 GiB``, ``500 ms``, ``30 %``, ``100 M``.

    Raises ValueError that says what was expected, with the nearest known metric.
    """
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(_EXPECTED.format(text=text))
    name, comparison, number, unit = match.groups()
    metric = full_name(name)
    try:
        amount = float(number)
    except ValueError:
        raise ValueError(_EXPECTED.format(text=text)) from None
    known = UNITS.get(METRICS[metric].unit, {})
    if unit and unit not in known:
        allowed = f"in {', '.join(known)}" if known else "without a unit"
        raise ValueError(f"expected an amount of {metric} {allowed}, not '{number} {unit}'")
    if not math.isfinite(amount):
        raise ValueError(f"expected a finite number, not '{number}'")
    # 30 % are exactly 0.3, which 30 * 0.01 happens to miss for other numbers
    factor = known.get(unit, 1)
    return Limit(metric, comparison, amount / round(1 / factor) if factor < 1 else amount * factor)


def parse_bytes(text: str) -> int:
    """Parse an amount of memory in whole bytes, such as ``2 GiB`` or ``500 MB``.

    Raises ValueError that says what was expected, for less than a byte too.
    """
    match = _AMOUNT.fullmatch(text)
    try:
        number = float(match[1]) if match else 0.0
    except ValueError:
        number = 0.0
    known = UNITS["bytes"]
    if match is None or match[2] not in known or not math.isfinite(number) or number * known[match[2]] < 1:
        raise ValueError(f"expected an amount of memory in {', '.join(known)}, such as '2 GiB', not '{text}'")
    return int(number * known[match[2]])


def full_name(name: str) -> str:
    """The metric of a name, which may lack ``_bytes``, ``_seconds`` or ``_tokens_per_second``.

    Raises ValueError for an unknown metric, with the nearest known one, and for one that variants do not have.
    """
    if name in METRICS and METRICS[name].measure not in _NO_ROW_HAS:
        return name
    found = [name + suffix for suffix in _SUFFIXES if name + suffix in METRICS]
    if len(found) == 1:
        return found[0]
    if name in METRICS or found:
        which = f": {' or '.join(found)}?" if found else ", but of no variant"
        raise ValueError(f"'{name}' is a metric{which}")
    known = [each for each in METRICS if METRICS[each].measure not in _NO_ROW_HAS]
    short = [each.removesuffix(suffix) for each in known for suffix in _SUFFIXES if each.endswith(suffix)]
    hint = nearest(name, [*known, *short])
    raise ValueError(f"unknown metric '{name}'{hint if 'did you mean' in hint else ''}; see: harness list metrics")
