"""Ranks in which what cannot be told apart shares a place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.selection.comparison import SUMS, TOKENIZER_BOUND, compare
from harness.stats.paired import paired_margins


def ranks(rows: Sequence[Row], metric: str) -> dict[str, int]:
    """By variant, 1 + how many others are better at a metric by a paired interval that does not touch equality.

    Only rows with the metric are ranked. It says what ``compare`` says of every pair, but all at once where all rows
    were scored on the same documents: there are as many pairs as the square of the rows.
    """
    ranked = [row for row in rows if metric in row.metrics]
    if not ranked:
        return {}
    better = _better_at_once(ranked, metric)
    if better is None:
        better = np.array([[_is_better(base, new, metric) for new in ranked] for base in ranked], dtype=np.bool_)
    return {row.variant: 1 + int(count) for row, count in zip(ranked, better.sum(axis=-1), strict=True)}


def _is_better(base: Row, new: Row, metric: str) -> bool:
    comparison = None if base is new else compare(base, new, metric)
    return comparison is not None and comparison.better is True


def _better_at_once(rows: Sequence[Row], metric: str) -> NDArray[np.bool_] | None:
    """Whether row j is better than row i, as rows × rows; None where pairs have to be looked at one by one."""
    documents = sorted(rows[0].metrics[metric].documents) if rows else []
    if metric not in SUMS or len(documents) < 2:
        return None
    if any(sorted(row.metrics[metric].documents) != documents for row in rows):
        return None
    if metric in TOKENIZER_BOUND and len({row.subject.tokenizer_hash for row in rows}) > 1:
        return None
    total, weight = SUMS[metric]
    totals, weights = (_sums(rows, metric, key, documents) for key in (total, weight))
    ratios = totals.sum(axis=1) / weights.sum(axis=1)
    if (weights <= 0).any() or (ratios <= 0).any():
        return None
    moves = (ratios[:, None] * weights - totals) / (weights.sum(axis=1)[:, None] - weights)
    values = ratios
    if not (metric.endswith("perplexity") or metric in TOKENIZER_BOUND):  # their ratios go through the logarithm
        moves, values = moves / ratios[:, None], np.log(ratios)
    differences = values[None, :] - values[:, None]
    settled = np.abs(differences) > paired_margins(moves, weights)
    rises = differences > 0 if METRICS[metric].higher_is_better else differences < 0
    return np.asarray(settled & rises, dtype=np.bool_)


def _sums(rows: Sequence[Row], metric: str, key: str, documents: Sequence[int]) -> NDArray[np.float64]:
    """Sums by rows × documents."""
    found = [[row.metrics[metric].documents[number][key] for number in documents] for row in rows]
    return np.array(found, dtype=np.float64)
