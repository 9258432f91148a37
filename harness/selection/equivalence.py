"""Whether a variant still is the model that it was made from."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records.metrics import PERPLEXITY
from harness.records.rows import Row
from harness.selection.comparison import compare

GATES = {"fp32": 0.001}
GATE_DEFAULT = 0.05
"""How far a perplexity may lie from the parent's, as a share: 0.1 % for fp32, 5 % for other precisions."""


def parent_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """The fp32 torch variant of the same candidate and device; None for itself or where it was not measured."""
    for other in rows:
        same = (other.subject.candidate, other.subject.device) == (row.subject.candidate, row.subject.device)
        if same and (other.subject.engine, other.subject.precision) == ("torch", "fp32") and other is not row:
            return other
    return None


def not_equivalent(row: Row, rows: Sequence[Row]) -> str | None:
    """Why a variant is not equivalent to its parent; None where it is, or where there is nothing to compare with."""
    parent = parent_of(row, rows)
    if parent is None:
        return None
    gate = GATES.get(row.subject.precision, GATE_DEFAULT)
    for metric in PERPLEXITY.values():
        comparison = compare(parent, row, metric)
        if comparison is not None and abs(comparison.ratio.value - 1) > gate:
            return f"its perplexity is {comparison.ratio.value - 1:+.2%} against fp32 torch, more than {gate:.1%}"
    return None
