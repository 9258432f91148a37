"""Tables of metrics, a line a variant: one way for reports, documents and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from harness.language.markup import code
from harness.language.say import say
from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.records.units import Scale, in_scale, scale_of
from harness.reporting.table import NOTHING, Cell, Column, Entry, Header, Table
from harness.selection.comparison import TOKENIZER_BOUND
from harness.selection.equivalence import not_equivalent
from harness.selection.ranking import indistinct

WORDS: dict[str, Callable[[Row], str]] = {
    "variant": lambda row: code(row.variant),
    "candidate": lambda row: code(row.subject.candidate),
    "family": lambda row: say(row.subject.family),
    "origin": lambda row: say(row.subject.origin),
    "engine": lambda row: row.subject.engine,
    "precision": lambda row: row.subject.precision,
    "device": lambda row: row.subject.place,
    "status": lambda row: say(status(row)),
}
"""Columns that are not metrics."""


def metric_table(
    rows: Sequence[Row],
    metrics: Sequence[str],
    *,
    intervals: bool | Collection[str] = True,
    lead: Sequence[str] = ("variant",),
    trail: Sequence[str] = (),
    everything: bool = False,
) -> Table | None:
    """Rows by metrics, each column in one unit, numbers rounded by their intervals, the best and what cannot be told
    from it in bold. ``intervals`` says whether the ends are shown, or of which metrics; ``lead`` and ``trail`` name
    columns of ``WORDS``. Columns without a value are left out, unless ``everything`` is asked for. None without rows.
    """
    if not rows:
        return None
    shown = [metric for metric in metrics if everything or any(metric in row.metrics for row in rows)]
    columns = [metric_column(rows, metric, _with_ends(metric, intervals)) for metric in shown]
    lines: list[tuple[Entry, ...]] = [
        (*(WORDS[name](row) for name in lead), *(cells[index] for _, cells in columns), *(WORDS[n](row) for n in trail))
        for index, row in enumerate(rows)
    ]
    headers: list[Header] = [*map(say, lead), *(column for column, _ in columns), *map(say, trail)]
    return Table(tuple(headers), tuple(lines), left=len(lead))


def metric_column(rows: Sequence[Row], metric: str, ends: bool = True) -> tuple[Column, list[Cell]]:
    """The header and the cells of a metric for some rows."""
    about = METRICS[metric]
    values = [row.metrics[metric].estimate.value for row in rows if metric in row.metrics]
    scale = scale_of(values, about.unit)
    best = best_of(rows, metric)
    having = {row.subject.family for row in rows if metric in row.metrics}
    measured = {row.subject.family for row in rows if row.status == "ok"}
    cells = [
        _cell(row, metric, scale, ends, row.variant in best) or Cell(missing(row, having, measured), empty=True)
        for row in rows
    ]
    return Column(say(about.title), _header_unit(metric, scale.name), about.higher_is_better), cells


def best_of(rows: Sequence[Row], metric: str) -> frozenset[str]:
    """The variants with the best value of a metric, and those that its paired interval cannot tell from it; none where
    no direction is better, where nothing is worse, or where the values cannot be compared. Variants that failed or are
    not equivalent to their parent are left out."""
    measured = [row for row in rows if metric in row.metrics and status(row) == "ok"]
    higher = METRICS[metric].higher_is_better
    if higher is None or len(measured) < 2:
        return frozenset()
    if metric in TOKENIZER_BOUND and len({row.subject.tokenizer_hash for row in measured}) > 1:
        return frozenset()
    best = max(measured, key=lambda row: (row.value(metric) or 0.0) * (1 if higher else -1))
    tied = indistinct(measured, best, metric)
    return frozenset(row.variant for row in tied) if len(tied) < len(measured) else frozenset()


def status(row: Row) -> str:
    """The status of a row, *not equivalent* included."""
    return "not equivalent" if row.status == "ok" and not_equivalent(row) else row.status


def missing(row: Row, having: Collection[str], measured: Collection[str]) -> str:
    """Why a row has no value of a metric: ``having`` are the families that have it, ``measured`` those of which a
    variant was measured to its end."""
    if row.subject.family in measured and row.subject.family not in having:
        return NOTHING
    return say(row.status) if row.status != "ok" else say("not measured")


def _cell(row: Row, metric: str, scale: Scale, ends: bool, best: bool) -> Cell | None:
    found = row.metrics.get(metric)
    if found is None:
        return None
    estimate = found.estimate
    return Cell(in_scale(estimate.value, estimate.low, estimate.high, scale, ends), estimate.value, best)


def _with_ends(metric: str, intervals: bool | Collection[str]) -> bool:
    return intervals if isinstance(intervals, bool) else metric in intervals


def _header_unit(metric: str, unit: str) -> str:
    """The unit of a header; titles such as *bits per byte* name theirs."""
    return "" if METRICS[metric].unit in ("bits/byte", "bits/char") else unit
