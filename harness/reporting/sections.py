"""Tables of a report on size, speed and memory, each made from rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.language.markup import code, plain
from harness.language.say import digits, retell, say
from harness.records.rows import Row
from harness.records.units import quantity
from harness.reporting.cells import ratio_cell, ratio_headers
from harness.reporting.metric_table import metric_column, metric_table
from harness.reporting.table import NOTHING, Column, Entry, Header, Table, without_empty_columns
from harness.selection.comparison import compare
from harness.selection.equivalence import parent_of

COMPARISON = ("parameters", "weights_bytes", "continuation_bits_per_byte", "cloze_accuracy", "forced_choice_accuracy",
              "prefill_tokens_per_second", "decode_tokens_per_second", "encode_tokens_per_second",
              "peak_memory_bytes", "load_seconds")  # fmt: skip
"""What stands in the comparison of all variants: of quality only what compares across families."""
GENERATION = ("prefill_tokens_per_second", "time_to_first_token_seconds", "decode_tokens_per_second",
              "inter_token_seconds_p50", "inter_token_seconds_p95", "inter_token_seconds_p99")  # fmt: skip
ENCODING = ("encode_tokens_per_second", "encode_batch_tokens_per_second", "latency_seconds_p50",
            "latency_seconds_p95", "latency_seconds_p99")  # fmt: skip
_CHANGED = ("weights_bytes", "peak_memory_bytes", "prefill_tokens_per_second", "decode_tokens_per_second",
            "encode_tokens_per_second")  # fmt: skip


def comparison_table(rows: Sequence[Row]) -> Table | None:
    """Every variant with its size, speed and memory, and its status."""
    return metric_table(rows, COMPARISON, intervals=False, lead=("variant", "family"), trail=("status",))


def speed_tables(rows: Sequence[Row]) -> list[tuple[str, Table]]:
    """Generation and encoding, with intervals over fresh workers where there are six or more."""
    found = []
    for title, metrics in ((say("Generation"), GENERATION), (say("Encoding"), ENCODING)):
        mine = [row for row in rows if metrics[0] in row.metrics]
        if table := metric_table(mine, metrics, intervals=(metrics[0], metrics[2])):
            found.append((title, table))
    return found


def change_table(rows: Sequence[Row]) -> Table | None:
    """What another engine or precision changed in size and speed against fp32 torch, as paired ratios with 95 %
    intervals."""
    lines: list[list[Entry]] = []
    for row in rows:
        parent = parent_of(row, rows)
        if parent is None or row.status != "ok":
            continue
        lines.append([code(row.variant), *(ratio_cell(compare(parent, row, metric)) for metric in _CHANGED)])
    headers: list[Header] = [say("variant"), *ratio_headers(_CHANGED)]
    return without_empty_columns(headers, lines) if lines else None


def quantised_table(rows: Sequence[Row]) -> Table | None:
    """What of each variant below fp32 really is stored in fewer bits, by count, and which products read it."""
    found = [row for row in rows if row.subject.precision != "fp32" and "quantised_share" in row.metrics]
    if not found:
        return None
    protocols = [row.metrics["quantised_share"].protocol for row in found]
    types = list(dict.fromkeys(kind for protocol in protocols for kind in protocol.get("elements", {})))
    share, shares = metric_column(found, "quantised_share")
    lines: list[list[Entry]] = []
    for row, protocol, shown in zip(found, protocols, shares, strict=True):
        elements, operators = protocol.get("elements", {}), protocol.get("operators", {})
        stored = [digits(f"{elements[kind]:,}") if kind in elements else NOTHING for kind in types]
        named = ", ".join(f"{count} {plain(name)}" for name, count in operators.items())
        lines.append([code(row.variant), named or NOTHING, shown, *stored])
    headers: list[Header] = [
        say("variant"),
        say("matrix products with weights"),
        share,
        *(Column(kind, say("weights")) for kind in types),
    ]
    return without_empty_columns(headers, lines, left=2)


def samples(rows: Sequence[Row]) -> list[str]:
    """What each candidate wrote, once where its variants agree."""
    found = []
    for candidate in dict.fromkeys(row.subject.candidate for row in rows):
        mine = [row for row in rows if row.subject.candidate == candidate and row.sample]
        for text in dict.fromkeys(row.sample for row in mine):
            writers = [row for row in mine if row.sample == text]
            ways = ", ".join(f"{row.subject.engine}/{row.subject.precision}{row.subject.at}" for row in writers)
            places = {"candidate": plain(candidate), "ways": plain(ways), "text": plain(text)}
            found.append(say("**{candidate}** ({ways}): {text}", **places))
    return found


def problems_table(rows: Sequence[Row]) -> Table | None:
    """Variants that failed or were skipped, each with its reason."""
    lines = [
        (code(row.variant), say(row.status), plain(retell(row.reason)) or NOTHING) for row in rows if row.status != "ok"
    ]
    return Table((say("variant"), say("status"), say("reason")), tuple(lines), left=3) if lines else None


def environment_lines(environment: dict[str, Any]) -> list[str]:
    """The machine and the versions, one line each."""
    if not environment:
        return [say("The run says nothing of its machine.")]
    versions = ", ".join(f"{name} {number}" for name, number in environment.get("versions", {}).items())
    dirty = " " + say("(with uncommitted changes)") if environment.get("dirty") else ""
    unknown = say("unknown")
    return [
        say(
            "CPU: {cpu}, {cores} cores, {threads} threads used, ISA {isa}",
            cpu=plain(str(environment.get("cpu", unknown))),
            cores=environment.get("cores", unknown),
            threads=environment.get("threads", unknown),
            isa=plain(", ".join(environment.get("isa", ()))) or unknown,
        ),
        say(
            "Memory: {memory}; GPU: {gpus}",
            memory=quantity(environment.get("memory_bytes", 0), "bytes"),
            gpus=plain(", ".join(environment.get("gpus", ()))) or say("none"),
        ),
        say(
            "System: {system}, Python {python}, governor {governor}",
            system=plain(str(environment.get("system", unknown))),
            python=plain(str(environment.get("python", unknown))),
            governor=plain(retell(str(environment.get("governor", unknown)))),
        ),
        say(
            "Versions: {versions}; commit {commit}", versions=plain(versions), commit=environment.get("commit", unknown)
        )
        + dirty,
    ]
