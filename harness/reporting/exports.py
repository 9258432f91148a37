"""Rows for machines: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from harness.records.metrics import METRICS
from harness.records.rows import Row

_COLUMNS = ("variant", "candidate", "family", "origin", "engine", "precision", "device", "machine", "status", "reason")


def rows_json(rows: Sequence[Row]) -> str:
    """A JSON list, one object a variant: the columns, and ``metrics`` by name with value, low, high, unit, n and
    higher_is_better; low and high are null where there is no interval."""
    return json.dumps([_as_object(row) for row in rows], indent=1, ensure_ascii=False, allow_nan=False)


def rows_csv(rows: Sequence[Row]) -> str:
    """CSV, one line a variant and metric; a variant without metrics has one line."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([*_COLUMNS, "metric", "value", "low", "high", "unit", "n", "higher_is_better"])
    for row in rows:
        described = _as_object(row)
        front = [described[column] for column in _COLUMNS]
        for name, metric in described["metrics"].items() or [("", {})]:
            writer.writerow([*front, name, *(metric.get(key, "") for key in _METRIC_KEYS)])
    return sink.getvalue()


_METRIC_KEYS = ("value", "low", "high", "unit", "n", "higher_is_better")


def _as_object(row: Row) -> dict[str, Any]:
    subject = row.subject
    metrics = {}
    for name, value in row.metrics.items():
        e, metric = value.estimate, METRICS[name]
        metrics[name] = dict(
            zip(_METRIC_KEYS, (e.value, e.low, e.high, metric.unit, e.n, metric.higher_is_better), strict=True)
        )
    return {
        "variant": subject.variant,
        "candidate": subject.candidate,
        "family": subject.family,
        "origin": subject.origin,
        "engine": subject.engine,
        "precision": subject.precision,
        "device": subject.device,
        "machine": subject.machine,
        "status": row.status,
        "reason": row.reason,
        "metrics": metrics,
    }
