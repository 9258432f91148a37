"""On which machines a run was measured, and its kinds of machine side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.language.markup import code, plain
from harness.language.say import say
from harness.records.machines import Machine, machines_of
from harness.records.metrics import METRICS
from harness.records.record import Record
from harness.records.rows import Row
from harness.records.units import quantity
from harness.reporting.cells import ratio_cell
from harness.reporting.document import Block, Bullets, Paragraph
from harness.reporting.metric_table import metric_column
from harness.reporting.sections import environment_lines
from harness.reporting.table import NOTHING, Cell, Column, Entry, Header, Table, without_empty_columns
from harness.stats.shift import ratio_estimate

_SPEEDS = ("prefill_tokens_per_second", "decode_tokens_per_second", "encode_tokens_per_second")


def environment_blocks(info: Mapping[str, Any], records: Sequence[Record], more: Sequence[str] = ()) -> list[Block]:
    """The machine and the versions; of a run on a cluster the table of its machines before them. ``more`` are further
    lines on what was measured."""
    here = environment_lines(info.get("environment", {}))
    table = machines_table(info, records)
    if table is None:
        return [Bullets((*here, *more))]
    started = say("The run was started on this machine; all that is timed was timed on those of the table:")
    return [table, *([Bullets(tuple(more))] if more else []), Paragraph(started), Bullets(tuple(here))]


def machines_table(info: Mapping[str, Any], records: Sequence[Record]) -> Table | None:
    """A line for nodes that are alike, with how many variants were timed there; None where a run lists none."""
    if "machines" not in info:
        return None
    headers = tuple(map(say, ("kind", "CPU", "cores", "memory", "GPUs", "nodes", "variants timed")))
    timed = {(record.environment, record.subject) for record in records if record.kind == "time"}
    counts = Counter((environment, subject.machine) for environment, subject in timed)
    lines = tuple(_line(each, counts[each.hash, each.kind]) for each in machines_of(info))
    return Table(headers, lines, left=2)


def how_to_read() -> str:
    """What the ratios between kinds say."""
    return say(
        "Each variant on the kinds of machine that it was measured on. Ratios are to the first of these; no round of "
        "one kind pairs with one of another, so their 95 % intervals are those of independent readings."
    )


def kinds_table(rows: Sequence[Row]) -> Table | None:
    """The speeds of variants that were measured on two kinds of machine or more, a line a kind, and the ratios to the
    first; None where there are none."""
    beside = [(row, first) for first, *others in _groups(rows) for row in (first, *others)]
    if not beside:
        return None
    mine = [row for row, _ in beside]
    headers: list[Header] = [say("variant"), say("kind")]
    columns: list[list[Entry]] = [[code(row.variant.removesuffix(row.subject.at)) for row in mine]]
    columns.append([_kind(row.subject.machine) for row in mine])
    for speed in _SPEEDS:
        header, cells = metric_column(mine, speed)
        title = say("{metric}, ratio", metric=say(METRICS[speed].title))
        headers += [header, Column(title, "", METRICS[speed].higher_is_better)]
        columns += [list(cells), [_ratio(row, first, speed) for row, first in beside]]
    return without_empty_columns(headers, list(zip(*columns, strict=True)), left=2)


def _groups(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows of a candidate, engine, precision and device on several kinds of machine, in order."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        subject = row.subject
        if row.status == "ok" and any(speed in row.metrics for speed in _SPEEDS):
            key = (subject.candidate, subject.engine, subject.precision, subject.device)
            groups.setdefault(key, []).append(row)
    return (group for group in groups.values() if len(group) > 1)


def _ratio(row: Row, first: Row, speed: str) -> Cell:
    sides = [each.metrics[speed].rounds.values() if speed in each.metrics else () for each in (first, row)]
    if row is first or not all(side and min(side) > 0 for side in sides):
        return ratio_cell(None)
    base, new = (list(side) for side in sides)
    return ratio_cell(ratio_estimate(base, new))


def _line(machine: Machine, timed: int) -> tuple[Entry, ...]:
    about, unknown = machine.environment, say("unknown")
    return (
        _kind(machine.kind),
        plain(str(about.get("cpu", unknown))),
        str(about.get("cores", unknown)),
        quantity(about.get("memory_bytes", 0), "bytes"),
        plain(", ".join(about.get("gpus", ()))) or say("none"),
        str(machine.nodes),
        str(timed),
    )


def _kind(kind: str) -> str:
    return code(kind) if kind else NOTHING
