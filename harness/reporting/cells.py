"""Single cells of tables that are not columns of one metric."""

from __future__ import annotations

from collections.abc import Sequence

from harness.language.say import digits, say
from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.records.units import with_interval
from harness.reporting.table import NOTHING, Cell, Column, Header
from harness.selection.comparison import Comparison
from harness.stats.intervals import Estimate


def cell(row: Row, metric: str, unit: bool = True) -> str:
    """A metric of a row with its interval and, unless the header has it, its unit."""
    value = row.metrics.get(metric)
    if value is None:
        return NOTHING
    estimate = value.estimate
    return with_interval(estimate.value, estimate.low, estimate.high, METRICS[metric].unit if unit else "")


def ratio_headers(metrics: Sequence[str]) -> list[Header]:
    """Headers of ratios of metrics, which have no unit but a direction."""
    about = [METRICS[metric] for metric in metrics]
    return [Column(say(each.title), "", each.higher_is_better) for each in about]


def ratio_cell(comparison: Comparison | Estimate | None) -> Cell:
    """A ratio with its interval; one without, of single readings or exact, is finer where it is near 1."""
    if comparison is None:
        return Cell(NOTHING, empty=True)
    ratio = comparison.ratio if isinstance(comparison, Comparison) else comparison
    if ratio.n == 1 or ratio.low is None or ratio.low == ratio.high:
        return Cell(digits(f"{ratio.value:.{4 if abs(ratio.value - 1) < 0.02 else 2}f}"), ratio.value)
    return Cell(with_interval(ratio.value, ratio.low, ratio.high, "ratio"), ratio.value)
