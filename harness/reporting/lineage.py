"""What distilled and pruned candidates kept of their teacher, and what the teacher bought them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.language.markup import code
from harness.language.say import say
from harness.records.metrics import PERPLEXITY
from harness.records.record import Record
from harness.records.rows import Row
from harness.reporting.cells import ratio_cell, ratio_headers
from harness.reporting.table import Entry, Header, Table, without_empty_columns
from harness.selection.comparison import compare

_METRICS = (*PERPLEXITY.values(), "continuation_bits_per_byte", "cloze_accuracy", "forced_choice_accuracy",
            "parameters", "weights_bytes", "peak_memory_bytes", "decode_tokens_per_second",
            "encode_tokens_per_second")  # fmt: skip


def how_to_read(records: Sequence[Record], rows: Sequence[Row]) -> str:
    """What the ratios say."""
    trained = _trained(records)
    controls = any(word == say("control") for row in rows for word, _ in _relatives(row, trained, rows))
    pairs = say(
        "Quality is paired by document, speed by round; brackets are 95 % intervals, and one that holds 1 settles "
        "nothing."
    )
    if controls:
        words = say(
            "Ratios to the teacher, and to the control: a candidate that was trained without a teacher, of as many "
            "parameters, for as many tokens."
        )
    else:
        words = say("Ratios to the teacher. No control was run, so they do not say what the teacher bought.")
    return f"{words} {pairs}"


def lineage_table(records: Sequence[Record], rows: Sequence[Row]) -> Table | None:
    """A line a variant and what it is held against, on the same engine at the same precision; None where no candidate
    has a teacher in the run."""
    trained = _trained(records)
    lines: list[list[Entry]] = []
    for row in (each for each in rows if each.status == "ok"):
        for word, candidate in _relatives(row, trained, rows):
            for base in (each for each in rows if each.subject.candidate == candidate and _way(each) == _way(row)):
                ratios = [ratio_cell(compare(base, row, metric)) for metric in _METRICS]
                lines.append([code(row.variant), f"{word} {code(candidate)}", *ratios])
    headers: list[Header] = [say("variant"), say("against"), *ratio_headers(_METRICS)]
    return without_empty_columns(headers, lines, left=2) if lines else None


def _trained(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """How each candidate was trained, by its name."""
    return {
        record.subject.candidate: record.fact.protocol
        for record in records
        if record.fact is not None and record.fact.metric == "validation_loss"
    }


def _relatives(row: Row, trained: Mapping[str, Mapping[str, Any]], rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """(what it is, name) of the candidates that a row is held against: its teacher, and its controls. ``trained`` says
    by candidate how it was trained."""
    mine = trained.get(row.subject.candidate, {})
    teacher = str(mine.get("teacher") or "")
    if not teacher:
        return
    yield say("teacher"), teacher
    for name in dict.fromkeys(other.subject.candidate for other in rows if other.subject.origin == "trained"):
        size = next((other.value("parameters") for other in rows if other.subject.candidate == name), None)
        same_budget = trained.get(name, {}).get("tokens") == mine.get("tokens")
        if name != teacher and size == row.value("parameters") and same_budget:
            yield say("control"), name


def _way(row: Row) -> tuple[str, str, str]:
    return row.subject.engine, row.subject.precision, row.subject.place
