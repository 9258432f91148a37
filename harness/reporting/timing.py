"""What a report says of how the timings were taken: disturbances, the control workload, loading, energy, sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.language.markup import code, plain
from harness.language.say import digits, retell, say
from harness.records.metrics import METRICS
from harness.records.record import Record
from harness.records.rows import Row
from harness.records.units import quantity, significant
from harness.reporting.metric_table import metric_table
from harness.reporting.table import NOTHING, Column, Header, Table, without_empty_columns
from harness.stats.intervals import median

CONTROL_MOVED = 0.1
"""A control workload that differs by more than this moved, and so did the machine."""
_LOAD = ("load_seconds", "load_cold_seconds", "first_call_seconds")
_ENERGY = ("prefill_joules_per_token", "decode_joules_per_token", "encode_joules_per_token")
_SWEPT = ("prefill_tokens_per_second", "decode_tokens_per_second", "encode_tokens_per_second")
_NAMED = 6
"""Timings that a sentence names one by one."""


def timing_sentences(records: Sequence[Record]) -> list[str]:
    """How many timings were disturbed and by what, and how far the control workload moved."""
    controls = [_control(kind, each) for kind, each in _by_kind(records).items()]
    return [text for text in (_disturbed(records), *controls) if text]


def _by_kind(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each kind of machine: how long the control workload takes depends on it."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.subject.machine, []).append(record)
    return found


def load_table(rows: Sequence[Row]) -> Table | None:
    """Loading with a warm and a cold file cache, and the first call after it."""
    return _table_of(rows, _LOAD)


def energy_table(rows: Sequence[Row]) -> Table | None:
    """Joules a token; None where no counter could be read."""
    return _table_of(rows, _ENERGY)


def energy_line(records: Sequence[Record]) -> str:
    """By which counters energy was measured, or why it was not; empty where nothing was timed."""
    told = dict.fromkeys(str(record.conditions["energy"]) for record in records if "energy" in record.conditions)
    return say("Energy: {counters}", counters=plain(say("; ").join(map(retell, told)))) if told else ""


def sweep_table(records: Sequence[Record]) -> Table | None:
    """Each variant at further prompt lengths and batch sizes, the median over rounds; what does not fit says so."""
    points: dict[tuple[str, int, int], list[dict[str, Any]]] = {}
    for record in records:
        for sample in record.fact.samples if record.fact and record.fact.metric == "sweep" else ():
            key = (record.subject.variant, sample["batch_size"], sample["prompt_tokens"])
            points.setdefault(key, []).append(sample)
    place = {variant: number for number, variant in enumerate(dict.fromkeys(each.subject.variant for each in records))}
    ordered = sorted(points, key=lambda point: (place[point[0]], *point[1:]))
    lines = [
        [code(variant), digits(f"{length:,}"), str(rows), *_swept(points[variant, rows, length])]
        for variant, rows, length in ordered
    ]
    speeds = [Column(say(METRICS[metric].title), say(METRICS[metric].unit), True) for metric in _SWEPT]
    sizes = [Column(say("prompt"), say("tokens")), Column(say("batch"))]
    headers: list[Header] = [say("variant"), *sizes, *speeds, say("left out")]
    return without_empty_columns(headers, lines, left=1) if lines else None


def _swept(samples: list[dict[str, Any]]) -> list[str]:
    """The cells of a point: its speeds, and why it was left out."""
    cells = []
    for metric in _SWEPT:
        found = [sample[metric] for sample in samples if metric in sample]
        cells.append(significant(median(found)) if found else NOTHING)
    return [*cells, next((plain(retell(each["left_out"])) for each in samples if "left_out" in each), NOTHING)]


def _disturbed(records: Sequence[Record]) -> str:
    timings = [record for record in records if record.kind == "time" and record.fact is None and record.status == "ok"]
    seen = [record for record in timings if "disturbed" in record.conditions]
    if not seen:
        return ""
    busy = [record for record in seen if record.conditions["disturbed"]]
    if not busy:
        quiet = "None of {count} timings was disturbed by other processes, a hypervisor or a quota."
        return say(quiet, count=len(seen))
    named = [
        say(
            "{variant} in round {number} ({reasons})",
            variant=code(record.subject.variant),
            number=_round(record),
            reasons=plain(say("; ").join(map(retell, record.conditions["disturbed"]))),
        )
        for record in busy[:_NAMED]
    ]
    if len(busy) > _NAMED:
        named.append(say("{count} more", count=len(busy) - _NAMED))
    return say(
        "Disturbed timings: {count} of {all}: {named}. The values keep them; a verdict on two runs leaves them out.",
        count=len(busy),
        all=len(seen),
        named=", ".join(named),
    )


def _control(kind: str, records: Sequence[Record]) -> str:
    """The control workload's median, its spread over rounds, and the timings during or before which it moved, all on
    one kind of machine."""
    found = [record for record in records if record.fact is not None and record.fact.metric == "control_seconds"]
    values = [(record, record.fact.value) for record in found if record.fact and record.fact.value]
    if not values:
        return ""
    middle = median([value for _, value in values])
    rounds: dict[int | None, list[float]] = {}
    for record, value in values:
        rounds.setdefault(record.round, []).append(value)
    medians = [median(each) for each in rounds.values()]
    moved = [record for record, value in values if _moved(record, value, middle)]
    took = quantity(middle, "s")
    if len(medians) > 1:
        spread = quantity((max(medians) - min(medians)) / middle, "fraction")
        text = say("The control workload took {time} and moved by {spread} between rounds.", time=took, spread=spread)
    else:
        text = say("The control workload took {time}.", time=took)
    if kind:
        text = say("On {kind}: {sentence}", kind=code(kind), sentence=text)
    if not moved:
        return text
    variants = [code(name) for name in dict.fromkeys(record.subject.variant for record in moved)]
    where = f" ({', '.join(variants)})" if len(variants) <= _NAMED else ""
    more = say(
        "In {count} of {all} timings it moved by more than {share} while the readings were taken, or away from its "
        "median{where}.",
        count=len(moved),
        all=len(values),
        share=quantity(CONTROL_MOVED, "fraction"),
        where=where,
    )
    return f"{text} {more}"


def _moved(record: Record, value: float, middle: float) -> bool:
    around = record.fact.samples if record.fact else []
    within = max(around) - min(around) if around else 0.0
    return within > CONTROL_MOVED * (min(around) if around else value) or abs(value - middle) > CONTROL_MOVED * middle


def _table_of(rows: Sequence[Row], metrics: Sequence[str]) -> Table | None:
    """Variants that have one of the metrics, with intervals."""
    return metric_table([row for row in rows if any(name in row.metrics for name in metrics)], metrics)


def _round(record: Record) -> int:
    return (record.round or 0) + 1
