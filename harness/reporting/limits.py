"""The section on the distance from the machine's limit."""

from __future__ import annotations

from collections.abc import Sequence

from harness.language.markup import code, plain
from harness.language.say import say
from harness.records.metrics import METRICS
from harness.records.record import Record
from harness.records.roofline import FRACTION_OF, machine_limits
from harness.records.rows import Row
from harness.records.units import quantity, significant
from harness.reporting.metric_table import metric_column
from harness.reporting.table import NOTHING, Cell, Column, Table, without_empty_columns


def how_to_read() -> str:
    """What a fraction of the limit says."""
    return say(
        "A fraction says how much of what this machine could do at best a variant reaches: decode of the read "
        "bandwidth over the bytes of weights that a step reads, prefill and encode of the matrix-product peak over the "
        "operations that a token takes (the peak of the type that it computes in; quantised variants: the highest of "
        "all); near 100 % only a smaller model or a lower precision is faster, far below it a better engine could be, "
        "and a small model passes 100 % where its weights stay in the caches."
    )


def limits_table(rows: Sequence[Row]) -> Table | None:
    """Each speed beside its limit and the fraction that it reaches of it; None where no limit is known."""
    mine = [row for row in rows if any(fraction in row.metrics for fraction in FRACTION_OF.values())]
    if not mine:
        return None
    headers: list[str | Column] = [say("variant")]
    columns: list[list[Cell]] = [[Cell(code(row.variant)) for row in mine]]
    for speed, fraction in FRACTION_OF.items():
        about = METRICS[speed]
        for header, cells in (metric_column(mine, speed, ends=False), metric_column(mine, fraction)):
            headers.append(header)
            columns.append(cells)
        headers.insert(-1, Column(say("{speed} limit", speed=say(about.title)), say(about.unit)))
        columns.insert(-1, [_limit(row, fraction) for row in mine])
    return without_empty_columns(headers, list(zip(*columns, strict=True)))


def limits_lines(records: Sequence[Record]) -> list[str]:
    """What each device of the machine, or of each kind of machine, can do at best, one line each."""
    return [
        say(
            "Limits of {device}: {limits}",
            device=plain(place),
            limits=", ".join(
                f"{say(METRICS[name].title)} {quantity(value, METRICS[name].unit)}" for name, value in limits.items()
            ),
        )
        for place, limits in machine_limits(records).items()
    ]


def _limit(row: Row, fraction: str) -> Cell:
    found = row.metrics.get(fraction)
    if found is None:
        return Cell(NOTHING, empty=True)
    limit = 1 / found.protocol["seconds_per_token_at_the_limit"]
    return Cell(significant(limit), limit)
