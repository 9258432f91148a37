"""The sections of a report, each made from rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.records.metrics import METRICS
from harness.records.record import Record
from harness.records.rows import Row
from harness.records.units import quantity, with_interval
from harness.reporting.table import Table, escape, without_empty_columns
from harness.reporting.training import telemetry_words
from harness.selection.comparison import Comparison, compare
from harness.selection.equivalence import not_equivalent, parent_of
from harness.training.curve import conclusions

NOTHING = "–"
_UNIT_IN_TEXT = ("tokens/s", "bits/byte", "bits/char", "nats/token", "ratio")
"""Units that the text around the tables names once."""
_SPEED = {
    "generation": ("prefill_tokens_per_second", "time_to_first_token_seconds", "decode_tokens_per_second",
                   "inter_token_seconds_p50", "inter_token_seconds_p95", "inter_token_seconds_p99"),
    "encoding": ("encode_tokens_per_second", "encode_batch_tokens_per_second", "latency_seconds_p50",
                 "latency_seconds_p95", "latency_seconds_p99"),
}  # fmt: skip


def comparison_table(rows: Sequence[Row]) -> Table:
    """Every variant with its size, speed and memory; of quality only what compares across families."""
    metrics = ("parameters", "weights_bytes", "continuation_bits_per_byte", "cloze_accuracy", "forced_choice_accuracy",
               "prefill_tokens_per_second", "decode_tokens_per_second", "encode_tokens_per_second",
               "peak_memory_bytes", "load_seconds")  # fmt: skip
    headers = ["variant", "family", *(METRICS[name].title for name in metrics), "status"]
    lines = [
        [
            f"`{row.variant}`",
            row.subject.family,
            *(cell(row, name, interval=False) for name in metrics),
            status(row),
        ]
        for row in rows
    ]
    return without_empty_columns(headers, lines, left=2)


def speed_tables(rows: Sequence[Row]) -> list[tuple[str, Table]]:
    """Generation and encoding, with intervals over fresh workers where there are six or more."""
    tables = []
    for title, metrics in _SPEED.items():
        mine = [row for row in rows if metrics[0] in row.metrics]
        lines = [
            [f"`{row.variant}`", *(cell(row, name, interval=i in (0, 2)) for i, name in enumerate(metrics))]
            for row in mine
        ]
        if lines:
            tables.append((title, without_empty_columns(["variant", *(METRICS[m].title for m in metrics)], lines)))
    return tables


def change_table(rows: Sequence[Row]) -> Table | None:
    """What another engine or precision changed in size and speed against fp32 torch, as paired ratios with 95 %
    intervals."""
    metrics = ("weights_bytes", "peak_memory_bytes", "prefill_tokens_per_second", "decode_tokens_per_second",
               "encode_tokens_per_second")  # fmt: skip
    lines = []
    for row in rows:
        parent = parent_of(row, rows)
        if parent is None or row.status != "ok":
            continue
        lines.append([f"`{row.variant}`", *(ratio_cell(compare(parent, row, metric)) for metric in metrics)])
    headers = ["variant", *(METRICS[m].title for m in metrics)]
    return without_empty_columns(headers, lines) if lines else None


def quantised_table(rows: Sequence[Row]) -> Table | None:
    """What of each variant below fp32 really is stored in fewer bits, by count, and which products read it."""
    found = [
        (row, row.metrics["quantised_share"])
        for row in rows
        if row.subject.precision != "fp32" and "quantised_share" in row.metrics
    ]
    types = list(dict.fromkeys(kind for _, share in found for kind in share.protocol.get("elements", {})))
    lines = []
    for row, share in found:
        elements, operators = share.protocol.get("elements", {}), share.protocol.get("operators", {})
        counts = [f"{elements[kind]:,}" if kind in elements else NOTHING for kind in types]
        named = ", ".join(f"{count} {name}" for name, count in operators.items())
        lines.append([f"`{row.variant}`", named or NOTHING, cell(row, "quantised_share"), *counts])
    headers = ["variant", "matrix products with weights", METRICS["quantised_share"].title, *types]
    return without_empty_columns(headers, lines, left=2) if lines else None


def training_table(records: Sequence[Record]) -> Table | None:
    """Validation loss at even distances along each training run, against the unigram baseline."""
    lines = []
    for record in records:
        fact = record.fact
        if fact is None or fact.metric != "validation_loss":
            continue
        floor = float(fact.protocol.get("unigram_loss", 0.0))
        losses = " → ".join(f"{point['loss']:.3f}" for point in fact.samples)
        lines.append(
            [
                f"`{record.subject.candidate}`",
                record.subject.origin,
                str(fact.protocol.get("initialised_from", "")),
                f"{fact.protocol.get('tokens', 0):,}",
                losses,
                f"{floor:.3f}",
            ]
        )
    headers = ["candidate", "origin", "starts from", "tokens", "validation loss along the way", "unigram"]
    return Table(tuple(headers), tuple(map(tuple, lines)), left=3) if lines else None


def training_conclusions(records: Sequence[Record]) -> list[str]:
    """What the curve of each training run says, in sentences."""
    took = {
        record.subject.candidate: telemetry_words(record.conditions)
        for record in records
        if record.kind == "candidate" and record.fact is None
    }
    found = []
    for record in records:
        fact, name = record.fact, record.subject.candidate
        if fact is not None and fact.metric == "validation_loss" and "unigram_loss" in fact.protocol:
            words = conclusions({"validation": fact.samples, "unigram_loss": fact.protocol["unigram_loss"]})
            found.append(" ".join([f"- `{name}`:", *words, took.get(name, "")]).rstrip())
    return found


def samples(rows: Sequence[Row]) -> list[str]:
    """What each candidate wrote, once where its variants agree."""
    found = []
    for candidate in dict.fromkeys(row.subject.candidate for row in rows):
        mine = [row for row in rows if row.subject.candidate == candidate and row.sample]
        for text in dict.fromkeys(row.sample for row in mine):
            writers = [row for row in mine if row.sample == text]
            names = ", ".join(f"{row.subject.engine}/{row.subject.precision}" for row in writers)
            found.append(f"- **{escape(candidate)}** ({names}): {escape(text)}")
    return found


def problems_table(rows: Sequence[Row]) -> Table | None:
    """Variants that failed or were skipped, each with its reason."""
    lines = [(f"`{row.variant}`", row.status, row.reason) for row in rows if row.status != "ok"]
    return Table(("variant", "status", "reason"), tuple(lines), left=3) if lines else None


def environment_lines(environment: dict[str, Any]) -> list[str]:
    """The machine and the versions, as a list."""
    versions = ", ".join(f"{name} {number}" for name, number in environment.get("versions", {}).items())
    dirty = " (with uncommitted changes)" if environment.get("dirty") else ""
    return [
        f"- CPU: {escape(str(environment.get('cpu')))}, {environment.get('cores')} cores, "
        f"{environment.get('threads')} threads used, ISA {', '.join(environment.get('isa', ())) or 'unknown'}",
        f"- Memory: {quantity(environment.get('memory_bytes', 0), 'bytes')}; "
        f"GPU: {', '.join(environment.get('gpus', ())) or 'none'}",
        f"- System: {escape(str(environment.get('system')))}, Python {environment.get('python')}, "
        f"governor {environment.get('governor')}",
        f"- Versions: {versions}; commit {environment.get('commit')}{dirty}",
    ]


def cell(row: Row, metric: str, interval: bool = True) -> str:
    """A metric of a row as text, with its interval where there is one."""
    value = row.metrics.get(metric)
    if value is None:
        return NOTHING
    estimate, unit = value.estimate, METRICS[metric].unit
    low, high = (estimate.low, estimate.high) if interval else (None, None)
    return with_interval(estimate.value, low, high, "" if unit in _UNIT_IN_TEXT else unit)


def ratio_cell(comparison: Comparison | None) -> str:
    """A ratio with its interval, finer where it is near 1; single readings have no interval."""
    if comparison is None:
        return NOTHING
    ratio = comparison.ratio
    digits = 4 if abs(ratio.value - 1) < 0.02 else 2
    if ratio.n == 1 or ratio.low is None or ratio.high is None:
        return f"{ratio.value:.{digits}f}"
    return f"{ratio.value:.{digits}f} [{ratio.low:.{digits}f}, {ratio.high:.{digits}f}]"


def status(row: Row) -> str:
    """The status of a row, *not equivalent* included."""
    if row.status == "ok" and not_equivalent(row):
        return "not equivalent"
    return row.status
