"""The quality sections of a report: across families, a family at a time, and each variant against its parent."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records.metrics import ACROSS_FAMILIES, BOTH_SIDES, METRICS, PERPLEXITY
from harness.records.rows import Row
from harness.reporting.sections import NOTHING, cell, ratio_cell, status
from harness.reporting.table import Table, without_empty_columns
from harness.selection.comparison import Comparison, compare, ratio_by_document
from harness.selection.equivalence import not_equivalent

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


def across_families(rows: Sequence[Row]) -> Table | None:
    """All variants on the same items, each measure with its rank, best first by the first measure that any has."""
    measured = [row for row in rows if any(metric in row.metrics for metric in ACROSS_FAMILIES)]
    if not measured:
        return None
    metrics = (*ACROSS_FAMILIES, *BOTH_SIDES)
    ranks = {metric: _ranks(measured, metric) for metric in metrics}
    first = next(metric for metric in ACROSS_FAMILIES if any(metric in row.metrics for row in measured))
    last = len(measured) + 1
    ordered = sorted(measured, key=lambda row: (ranks[first].get(row.variant, last), _badness(row, first)))
    lines = [
        [f"`{row.variant}`", row.subject.family, *(_ranked(row, metric, ranks[metric]) for metric in metrics)]
        for row in ordered
    ]
    for row in _one_per_tokenizer(measured):
        floors = [cell(row, f"unigram_{metric}") if metric in row.metrics else NOTHING for metric in metrics]
        lines.append([f"*unigram baseline ({row.subject.candidate}'s tokenizer)*", row.subject.family, *floors])
    headers = ["variant", "family", *(METRICS[metric].title for metric in metrics)]
    return without_empty_columns(headers, lines, left=2)


def items_words(rows: Sequence[Row]) -> str:
    """How many items stand behind each measure, over how many documents."""
    parts = []
    for metric in ACROSS_FAMILIES:
        found = next((row.metrics[metric].protocol for row in rows if metric in row.metrics), None)
        if found is not None:
            parts.append(f"{METRICS[metric].title}: {found['items']:,} items in {found['clusters']} clusters")
    return "; ".join(parts)


def family_tables(rows: Sequence[Row]) -> list[tuple[str, str, Table]]:
    """(title, protocol in words, table) a family, with a unigram baseline line a tokenizer."""
    found = []
    for family, metric in PERPLEXITY.items():
        mine = [row for row in rows if row.subject.family == family and metric in row.metrics]
        if not mine:
            continue
        metrics = _OF_FAMILY[family]
        lines = [
            [f"`{row.variant}`", *(cell(row, name) for name in metrics), _against_baseline(row, metric)] for row in mine
        ]
        for row in _one_per_tokenizer(mine):
            floors = {metric: cell(row, "unigram_perplexity"), "bits_per_byte": cell(row, "unigram_bits_per_byte")}
            name = f"*unigram baseline ({row.subject.candidate}'s tokenizer)*"
            lines.append([name, *(floors.get(each, NOTHING) for each in metrics), "1.00"])
        headers = ["variant", *(METRICS[name].title for name in metrics), "of the baseline"]
        protocol = protocol_words(mine) + _sentences_words(mine, metrics)
        found.append((FAMILY_WORDS[family], protocol, without_empty_columns(headers, lines)))
    return found


def protocol_words(rows: Sequence[Row]) -> str:
    """The protocol of a quality table: printed once where all rows share it. Quantised variants are scored one window
    at a time, so their batches are named apart."""
    metric = PERPLEXITY[rows[0].subject.family]
    protocols = [dict(row.metrics[metric].protocol) for row in rows]
    scored = sorted({protocol.pop("tokens_scored", 0) for protocol in protocols})
    batches = sorted({protocol.pop("batch_size", 1) for protocol in protocols})
    distinct = [protocol for i, protocol in enumerate(protocols) if protocol not in protocols[:i]]
    shown = "; or ".join(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in p.items()) for p in distinct)
    at_once = f"{batches[-1]} (1 where quantised)" if len(batches) > 1 else str(batches[0])
    tokens = f"{scored[0]:,}" if len(scored) == 1 else f"{scored[0]:,} to {scored[-1]:,}"
    return f"{shown}, batches of {at_once}; {tokens} tokens scored. Intervals: 95 %, clustered by document."


def _sentences_words(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """The protocol of those columns of a quality table that are not of the text but of sentences apart."""
    found = {name: row.metrics[name].protocol for row in rows for name in metrics if name in row.metrics}
    return "".join(
        f" {METRICS[name].title.capitalize()}: of {protocol['sentences']:,} whole sentences."
        for name, protocol in found.items()
        if "sentences" in protocol
    )


def parent_table(rows: Sequence[Row]) -> Table | None:
    """Each variant against its parent on the same tokens."""
    metrics = ("quantised_share", "perplexity_ratio", "kl_divergence", "kl_divergence_p50", "kl_divergence_p95",
               "kl_divergence_p99", "kl_divergence_max", "top1_agreement")  # fmt: skip
    lines = []
    for row in rows:
        if "perplexity_ratio" in row.metrics:
            verdict = "not equivalent" if not_equivalent(row) else "equivalent"
            cells = [_fine(row, metric) for metric in metrics]
            lines.append([f"`{row.variant}`", *cells, _batched(row), verdict])
    headers = ["variant", *(METRICS[metric].title for metric in metrics), "perplexity in batches", "verdict"]
    return without_empty_columns(headers, lines) if lines else None


def _fine(row: Row, metric: str) -> str:
    """As a cell, but a ratio as finely as it needs to be told from 1."""
    value = row.metrics.get(metric)
    if metric == "perplexity_ratio" and value is not None:
        return ratio_cell(Comparison(value.estimate, None))
    return cell(row, metric)


def _batched(row: Row) -> str:
    """The perplexity in batches over that of one window at a time; dynamic int8 is moved by the other rows."""
    alone, batched = row.metrics.get(PERPLEXITY[row.subject.family]), row.metrics.get("batched_perplexity")
    ratio = ratio_by_document(alone, batched, "batched_perplexity") if alone and batched else None
    return ratio_cell(Comparison(ratio, None)) if ratio else NOTHING


def _ranks(rows: Sequence[Row], metric: str) -> dict[str, int]:
    """1 + how many equivalent variants are better by a paired interval that does not touch equality: those that cannot
    be told apart share a rank. Variants that failed, are unfinished or are not equivalent have none."""
    ranked = [row for row in rows if metric in row.metrics and status(row) == "ok"]
    ranks = {}
    for row in ranked:
        against = (compare(row, other, metric) for other in ranked if other is not row)
        ranks[row.variant] = 1 + sum(comparison is not None and comparison.better is True for comparison in against)
    return ranks


def _ranked(row: Row, metric: str, ranks: dict[str, int]) -> str:
    text = cell(row, metric)
    return f"#{ranks[row.variant]} · {text}" if row.variant in ranks else text


def _badness(row: Row, metric: str) -> float:
    value = row.value(metric)
    sign = -1.0 if METRICS[metric].higher_is_better else 1.0
    return float("inf") if value is None else sign * value


def _against_baseline(row: Row, metric: str) -> str:
    """The perplexity as a share of the unigram baseline's on the same tokens, paired by document."""
    floor = row.metrics.get("unigram_perplexity")
    ratio = ratio_by_document(floor, row.metrics[metric], metric) if floor else None
    return ratio_cell(Comparison(ratio, None)) if ratio else NOTHING


def _one_per_tokenizer(rows: Sequence[Row]) -> list[Row]:
    """The first row of each family and tokenizer: families are scored at different tokens, so their floors differ."""
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        first.setdefault((row.subject.family, row.subject.tokenizer_hash), row)
    return list(first.values())
