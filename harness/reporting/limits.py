"""The section on the distance from the machine's limit."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records.metrics import METRICS
from harness.records.record import Record
from harness.records.roofline import FRACTION_OF, machine_limits
from harness.records.rows import Row
from harness.records.units import quantity, significant
from harness.reporting.sections import NOTHING, cell
from harness.reporting.table import Table, without_empty_columns

HOW_TO_READ = (
    "A fraction says how much of what this machine could do at best a variant reaches: decode of the read bandwidth "
    "over the bytes of weights that a step reads, prefill and encode of the matrix-product peak over the operations "
    "that a token takes (the peak of the type that it computes in; quantised variants: the highest of all); near "
    "100 % only a smaller model or a lower precision is faster, far below it a better engine could be, and a small "
    "model passes 100 % where its weights stay in the caches."
)


def limits_table(rows: Sequence[Row]) -> Table | None:
    """Each speed beside its limit and the fraction that it reaches of it; None where no limit is known."""
    lines = [
        [f"`{row.variant}`", *(text for speed in FRACTION_OF for text in _beside_limit(row, speed))]
        for row in rows
        if any(fraction in row.metrics for fraction in FRACTION_OF.values())
    ]
    titles = [METRICS[speed].title for speed in FRACTION_OF]
    headers = ["variant", *(text for title in titles for text in (title, f"{title} limit", f"{title}, of the limit"))]
    return without_empty_columns(headers, lines) if lines else None


def limits_lines(records: Sequence[Record]) -> list[str]:
    """What each device of the machine can do at best, as a list."""
    return [
        f"- Limits of {device}: "
        + ", ".join(f"{METRICS[name].title} {quantity(value, METRICS[name].unit)}" for name, value in limits.items())
        for device, limits in machine_limits(records).items()
    ]


def _beside_limit(row: Row, speed: str) -> tuple[str, str, str]:
    fraction = row.metrics.get(FRACTION_OF[speed])
    if fraction is None:
        return NOTHING, NOTHING, NOTHING
    limit = 1 / fraction.protocol["seconds_per_token_at_the_limit"]
    return cell(row, speed, interval=False), significant(limit), cell(row, FRACTION_OF[speed])
