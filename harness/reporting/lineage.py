"""What distilled and pruned candidates kept of their teacher, and what the teacher bought them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.records.metrics import METRICS, PERPLEXITY
from harness.records.record import Record
from harness.records.rows import Row
from harness.reporting.sections import ratio_cell
from harness.reporting.table import Table, without_empty_columns
from harness.selection.comparison import compare

HOW_TO_READ = (
    "Ratios to the teacher, and to the control: a candidate that was trained without a teacher, of as many parameters, "
    "for as many tokens. Quality is paired by document, speed by round; brackets are 95 % intervals, and one that "
    "holds 1 settles nothing. Of perplexities and bits less is better, of accuracies and tokens/s more."
)
_METRICS = (*PERPLEXITY.values(), "continuation_bits_per_byte", "cloze_accuracy", "forced_choice_accuracy",
            "parameters", "weights_bytes", "peak_memory_bytes", "decode_tokens_per_second",
            "encode_tokens_per_second")  # fmt: skip


def lineage_table(records: Sequence[Record], rows: Sequence[Row]) -> Table | None:
    """A line a variant and what it is held against, on the same engine at the same precision; None where no candidate
    has a teacher in the run."""
    lines = []
    for row in rows:
        for word, candidate in _relatives(row, records, rows):
            for base in (each for each in rows if each.subject.candidate == candidate and _way(each) == _way(row)):
                ratios = [ratio_cell(compare(base, row, metric)) for metric in _METRICS]
                lines.append([f"`{row.variant}`", f"{word} `{candidate}`", *ratios])
    headers = ["variant", "against", *(METRICS[metric].title for metric in _METRICS)]
    return without_empty_columns(headers, lines, left=2) if lines else None


def _relatives(row: Row, records: Sequence[Record], rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """(what it is, name) of the candidates that a row is held against: its teacher, and its controls."""
    tokens, teachers = {}, {}
    for record in records:
        if record.fact is not None and record.fact.metric == "validation_loss":
            tokens[record.subject.candidate] = record.fact.protocol.get("tokens")
            teachers[record.subject.candidate] = str(record.fact.protocol.get("teacher") or "")
    candidate = row.subject.candidate
    if not (teacher := teachers.get(candidate)):
        return
    yield "teacher", teacher
    for name in dict.fromkeys(other.subject.candidate for other in rows if other.subject.origin == "trained"):
        size = next((other.value("parameters") for other in rows if other.subject.candidate == name), None)
        if name != teacher and size == row.value("parameters") and tokens.get(name) == tokens[candidate]:
            yield "control", name


def _way(row: Row) -> tuple[str, str, str]:
    return row.subject.engine, row.subject.precision, row.subject.device
