"""The quality sections of a report: across families, a family at a time, and each variant against its parent."""

from __future__ import annotations

from collections.abc import Sequence

from harness.language.markup import code, plain
from harness.language.say import digits, retell, say
from harness.records.metrics import ACROSS_FAMILIES, BOTH_SIDES, METRICS, PERPLEXITY
from harness.records.rows import Row
from harness.records.units import Scale, in_scale, scale_of
from harness.reporting.cells import ratio_cell
from harness.reporting.metric_table import metric_column, status
from harness.reporting.table import NOTHING, Cell, Column, Table, without_empty_columns
from harness.selection.comparison import ratio_by_document
from harness.selection.equivalence import not_equivalent
from harness.selection.ranking import ranks

FAMILY_WORDS = {
    "causal": "Causal models: next-token perplexity",
    "masked": "Masked models: perplexity of masked tokens",
    "seq2seq": "Sequence-to-sequence models: perplexity of corrupted spans",
}
_OF_FAMILY = {
    "causal": ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"),
    "masked": ("masked_perplexity", "pseudo_perplexity", "pseudo_perplexity_by_token"),
    "seq2seq": ("span_perplexity", "infilling_perplexity"),
}


_BESIDE_PARENT = ("quantised_share", "perplexity_ratio", "kl_divergence", "kl_divergence_p50", "kl_divergence_p95",
                  "kl_divergence_p99", "kl_divergence_max", "top1_agreement")  # fmt: skip


def across_families(rows: Sequence[Row]) -> Table | None:
    """All variants on the same items, each measure with its rank, best first by the first measure that any has.

    Variants that failed, are unfinished or are not equivalent have no rank.
    """
    measured = [row for row in rows if any(metric in row.metrics for metric in ACROSS_FAMILIES)]
    if not measured:
        return None
    metrics = [each for each in (*ACROSS_FAMILIES, *BOTH_SIDES) if any(each in row.metrics for row in measured)]
    places = {metric: ranks([row for row in measured if status(row) == "ok"], metric) for metric in metrics}
    first, last = metrics[0], len(measured) + 1
    ordered = sorted(measured, key=lambda row: (places[first].get(row.variant, last), _badness(row, first)))
    floors = _one_per_tokenizer(measured)
    columns = []
    for metric in metrics:
        header, cells = metric_column(ordered, metric)
        shown = [_ranked(cell, places[metric].get(row.variant)) for row, cell in zip(ordered, cells, strict=True)]
        columns.append((header, shown + [_floor(row, metric, ordered) for row in floors]))
    names = [*(code(row.variant) for row in ordered), *map(_baseline_name, floors)]
    families = [say(row.subject.family) for row in (*ordered, *floors)]
    return _from_columns([say("variant"), say("family")], [names, families], columns)


def items_words(rows: Sequence[Row]) -> str:
    """How many items stand behind each measure, over how many documents."""
    parts = []
    for metric in ACROSS_FAMILIES:
        found = next((row.metrics[metric].protocol for row in rows if metric in row.metrics), None)
        if found is not None and {"items", "clusters"} <= found.keys():
            parts.append(
                say(
                    "{measure}: {items} items in {clusters} clusters",
                    measure=say(METRICS[metric].title),
                    items=digits(f"{found['items']:,}"),
                    clusters=found["clusters"],
                )
            )
    return say("; ").join(parts)


def family_tables(rows: Sequence[Row]) -> list[tuple[str, str, Table]]:
    """(title, protocol in words, table) a family, with a unigram baseline line a tokenizer."""
    found = []
    for family, metric in PERPLEXITY.items():
        mine = [row for row in rows if row.subject.family == family and metric in row.metrics]
        if not mine:
            continue
        metrics = [each for each in _OF_FAMILY[family] if any(each in row.metrics for row in mine)]
        floors = _one_per_tokenizer(mine)
        columns = []
        for name in metrics:
            header, cells = metric_column(mine, name)
            columns.append((header, [*cells, *(_floor(row, name, mine, metric) for row in floors)]))
        against = [*(_against_baseline(row, metric) for row in mine), *(Cell(digits("1.00"), 1.0) for _ in floors)]
        columns.append((Column(say("of the baseline"), "", False), against))
        names = [*(code(row.variant) for row in mine), *map(_baseline_name, floors)]
        protocol = protocol_words(mine) + _sentences_words(mine, metrics)
        found.append((say(FAMILY_WORDS[family]), protocol, _from_columns([say("variant")], [names], columns)))
    return found


def protocol_words(rows: Sequence[Row]) -> str:
    """The protocol of a quality table: printed once where all rows share it. Quantised variants are scored one window
    at a time, so their batches are named apart."""
    metric = PERPLEXITY[rows[0].subject.family]
    protocols = [dict(row.metrics[metric].protocol) for row in rows]
    scored = sorted({protocol.pop("tokens_scored", 0) for protocol in protocols})
    batches = sorted({protocol.pop("batch_size", 1) for protocol in protocols})
    distinct = [protocol for i, protocol in enumerate(protocols) if protocol not in protocols[:i]]
    shown = say("; ").join(
        ", ".join(f"{say(key.replace('_', ' '))} {plain(digits(retell(str(value))))}" for key, value in each.items())
        for each in distinct
    )
    at_once = say("{size} (1 where quantised)", size=batches[-1]) if len(batches) > 1 else str(batches[0])
    tokens = "–".join(digits(f"{count:,}") for count in dict.fromkeys((scored[0], scored[-1])))
    return say(
        "{protocol}, batches of {batches}; {tokens} tokens scored. Intervals: 95 %, clustered by document.",
        protocol=shown,
        batches=at_once,
        tokens=tokens,
    )


def _sentences_words(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """The protocol of those columns of a quality table that are not of the text but of sentences apart."""
    found = {name: row.metrics[name].protocol for row in rows for name in metrics if name in row.metrics}
    return "".join(
        " "
        + say(
            "Of {count} whole sentences: {measure}.",
            measure=say(METRICS[name].title),
            count=digits(f"{protocol['sentences']:,}"),
        )
        for name, protocol in found.items()
        if "sentences" in protocol
    )


def parent_table(rows: Sequence[Row]) -> Table | None:
    """Each variant against its parent on the same tokens."""
    mine = [row for row in rows if "perplexity_ratio" in row.metrics]
    if not mine:
        return None
    columns = [metric_column(mine, metric) for metric in _BESIDE_PARENT]
    place = _BESIDE_PARENT.index("perplexity_ratio")  # finer near 1 than other numbers
    columns[place] = columns[place][0], [ratio_cell(row.metrics["perplexity_ratio"].estimate) for row in mine]
    columns.append((Column(say("perplexity in batches")), [_batched(row) for row in mine]))
    verdicts = [say("not equivalent") if not_equivalent(row) else say("equivalent") for row in mine]
    columns.append((Column(say("verdict")), [Cell(verdict) for verdict in verdicts]))
    return _from_columns([say("variant")], [[code(row.variant) for row in mine]], columns)


def _batched(row: Row) -> Cell:
    """The perplexity in batches over that of one window at a time; dynamic int8 is moved by the other rows."""
    alone, batched = row.metrics.get(PERPLEXITY[row.subject.family]), row.metrics.get("batched_perplexity")
    return ratio_cell(ratio_by_document(alone, batched, "batched_perplexity") if alone and batched else None)


def _ranked(cell: Cell, place: int | None) -> Cell:
    return cell if place is None else Cell(f"#{place} · {cell.text}", cell.value, cell.best)


def _badness(row: Row, metric: str) -> float:
    value = row.value(metric)
    sign = -1.0 if METRICS[metric].higher_is_better else 1.0
    return float("inf") if value is None else sign * value


def _against_baseline(row: Row, metric: str) -> Cell:
    """The perplexity as a share of the unigram baseline's on the same tokens, paired by document."""
    floor = row.metrics.get("unigram_perplexity")
    return ratio_cell(ratio_by_document(floor, row.metrics[metric], metric) if floor else None)


def _floor(row: Row, metric: str, rows: Sequence[Row], perplexity: str = "") -> Cell:
    """The same measure under word frequencies, in the size of the column of ``rows``. The family's ``perplexity`` has
    its floor under one name for all families."""
    found = row.metrics.get("unigram_perplexity" if metric == perplexity else f"unigram_{metric}")
    if found is None or metric not in row.metrics:
        return Cell(NOTHING, empty=True)
    values = [each.metrics[metric].estimate.value for each in rows if metric in each.metrics]
    scale: Scale = scale_of(values, METRICS[metric].unit)
    return Cell(in_scale(found.estimate.value, found.estimate.low, found.estimate.high, scale), found.estimate.value)


def _baseline_name(row: Row) -> str:
    return f"*{say('unigram baseline ({candidate}, its tokenizer)', candidate=plain(row.subject.candidate))}*"


def _one_per_tokenizer(rows: Sequence[Row]) -> list[Row]:
    """The first row of each family and tokenizer: families are scored at different tokens, so their floors differ."""
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        first.setdefault((row.subject.family, row.subject.tokenizer_hash), row)
    return list(first.values())


def _from_columns(
    titles: Sequence[str], words: Sequence[Sequence[str]], columns: Sequence[tuple[Column, Sequence[Cell]]]
) -> Table:
    """A table of columns: of words first, then of cells; those without a value are left out."""
    lines = list(zip(*words, *(cells for _, cells in columns), strict=True))
    return without_empty_columns([*titles, *(header for header, _ in columns)], lines, left=len(titles))
