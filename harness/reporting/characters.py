"""The candidates side by side in a few words each: what they are, what they can write, what they cost, what for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.language.markup import code
from harness.language.say import say
from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.reporting.metric_table import status
from harness.reporting.table import NOTHING, Table
from harness.selection.pareto import SPEED
from harness.selection.phrases import shown
from harness.selection.ranking import ranks

_QUALITY = "continuation_bits_per_byte"
_ARCHITECTURE = {
    "causal": "decoder, autoregressive",
    "masked": "encoder, autoencoding",
    "seq2seq": "encoder and decoder, sequence to sequence",
}
_WRITES = {
    "causal": "writes on freely",
    "masked": "fills in gaps of a known length; writes on only word by word",
    "seq2seq": "fills in spans and rewrites text",
}


def characters_table(rows: Sequence[Row], uses: Mapping[str, Sequence[str]]) -> Table | None:
    """A line a candidate: its architecture, how well it continues text, its fastest variant and the least memory, its
    size, and the use cases for which one of its variants is recommended. ``uses`` are titles by variant."""
    measured = [row for row in rows if status(row) == "ok"]
    places = ranks([row for row in measured if _is_first(row, measured)], _QUALITY)
    lines = []
    for candidate in dict.fromkeys(row.subject.candidate for row in measured):
        mine = [row for row in measured if row.subject.candidate == candidate]
        lines.append(
            (
                code(candidate),
                say(_ARCHITECTURE[mine[0].subject.family]),
                _generation(mine, places),
                _efficiency(mine),
                _size(mine),
                say("; ").join(dict.fromkeys(title for row in mine for title in uses.get(row.variant, ()))) or NOTHING,
            )
        )
    titles = ("candidate", "architecture", "generation", "efficiency", "complexity", "recommended for")
    return Table(tuple(map(say, titles)), tuple(lines), left=len(titles)) if lines else None


def _is_first(row: Row, rows: Sequence[Row]) -> bool:
    """Whether a row speaks for its candidate: the first of its variants, which is the checkpoint itself."""
    return next(each for each in rows if each.subject.candidate == row.subject.candidate) is row


def _generation(mine: Sequence[Row], places: Mapping[str, int]) -> str:
    words = say(_WRITES[mine[0].subject.family])
    best = next((row for row in mine if _QUALITY in row.metrics), None)
    if best is None:
        return words
    place = places.get(best.variant)
    return say(
        "{words}: {value} bits per byte of continuations{place}",
        words=words,
        value=shown(best, _QUALITY),
        place=say(" (#{place} of {count} candidates)", place=place, count=len(places)) if place else "",
    )


def _efficiency(mine: Sequence[Row]) -> str:
    speed = SPEED[mine[0].subject.family]
    timed = [row for row in mine if speed in row.metrics]
    parts = []
    if timed:
        fastest = max(timed, key=lambda row: row.value(speed) or 0.0)
        title = say(METRICS[speed].title)
        parts.append(say("{measure} {value} ({way})", measure=title, value=shown(fastest, speed), way=_way(fastest)))
    held = [row for row in mine if "peak_memory_bytes" in row.metrics]
    if held:
        least = min(held, key=lambda row: row.value("peak_memory_bytes") or 0.0)
        parts.append(say("{size} of memory ({way})", size=shown(least, "peak_memory_bytes"), way=_way(least)))
    return say("; ").join(parts) or NOTHING


def _size(mine: Sequence[Row]) -> str:
    parts = []
    if "parameters" in mine[0].metrics:
        parts.append(say("{count} parameters", count=shown(mine[0], "parameters")))
    stored = [row for row in mine if "weights_bytes" in row.metrics]
    if stored:
        least = min(stored, key=lambda row: row.value("weights_bytes") or 0.0)
        parts.append(say("{size} of weights ({way})", size=shown(least, "weights_bytes"), way=_way(least)))
    return say("; ").join(parts) or NOTHING


def _way(row: Row) -> str:
    return f"{row.subject.engine}/{row.subject.precision}{row.subject.at}"
