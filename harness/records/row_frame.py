"""Rows as a pandas frame, for notebooks: a line a variant, a column a metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.records.metrics import METRICS
from harness.records.rows import Row

if TYPE_CHECKING:
    import pandas

_ABOUT = ("candidate", "family", "origin", "engine", "precision", "device", "machine")


def row_frame(rows: Sequence[Row]) -> pandas.DataFrame:
    """Indexed by variant: what it is, its status and reason, then every metric that any row has, in its unit, NaN where
    a row has none. Where a metric has 95 % intervals, ``METRIC_low`` and ``METRIC_high`` stand beside it."""
    import pandas

    columns: dict[str, list[Any]] = {name: [getattr(row.subject, name) for row in rows] for name in _ABOUT}
    columns |= {name: [getattr(row, name) for row in rows] for name in ("status", "reason")}
    for metric in METRICS:
        if any(metric in row.metrics for row in rows):
            columns |= _columns(metric, rows)
    return pandas.DataFrame(columns, index=pandas.Index([row.variant for row in rows], name="variant"))


def _columns(metric: str, rows: Sequence[Row]) -> dict[str, list[float | None]]:
    found = [row.metrics[metric].estimate if metric in row.metrics else None for row in rows]
    columns = {
        metric: [each.value if each else None for each in found],
        f"{metric}_low": [each.low if each else None for each in found],
        f"{metric}_high": [each.high if each else None for each in found],
    }
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}
