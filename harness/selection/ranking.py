"""Ranks in which what cannot be told apart shares a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.selection.comparison import SUMS, TOKENIZER_BOUND, compare
from harness.stats.intervals import median_rank
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


def indistinct(rows: Sequence[Row], best: Row, metric: str) -> list[Row]:
    """Of rows that have a metric, ``best`` among them, those that ``compare`` cannot tell from it: itself, equal
    values, and where the paired interval holds equality or there is none."""
    at = next(number for number, row in enumerate(rows) if row is best)
    same = _same_documents(rows, metric)
    if same is not None:
        margins = paired_margins(same.moves, same.weights, of=[at])[0]
        close = np.abs(same.values - same.values[at]) <= margins
    elif (rounds := _same_rounds(rows, metric)) is not None:
        ratios = np.sort(rounds - rounds[at], axis=1)
        rank = median_rank(ratios.shape[1])
        close = (ratios[:, rank - 1] <= 0) & (ratios[:, -rank] >= 0)
    else:
        close = np.array([_cannot_be_told(row, best, metric) for row in rows], dtype=np.bool_)
    return [
        row for row, near in zip(rows, close.tolist(), strict=True) if near or row.value(metric) == best.value(metric)
    ]


def _cannot_be_told(row: Row, best: Row, metric: str) -> bool:
    comparison = None if row is best else compare(row, best, metric)
    return comparison is None or comparison.better is None


@dataclass(frozen=True)
class _Documents:
    """What paired intervals of some rows are made of: their values on the scale on which they are compared, and rows ×
    documents, how a value moves as each is left out, and the weights."""

    values: NDArray[np.float64]
    moves: NDArray[np.float64]
    weights: NDArray[np.float64]


def _better_at_once(rows: Sequence[Row], metric: str) -> NDArray[np.bool_] | None:
    """Whether row j is better than row i, as rows × rows; None where pairs have to be looked at one by one."""
    same = _same_documents(rows, metric)
    if same is None:
        return None
    differences = same.values[None, :] - same.values[:, None]
    settled = np.abs(differences) > paired_margins(same.moves, same.weights)
    rises = differences > 0 if METRICS[metric].higher_is_better else differences < 0
    return np.asarray(settled & rises, dtype=np.bool_)


def _same_documents(rows: Sequence[Row], metric: str) -> _Documents | None:
    """None where rows were not all scored on the same documents, or do not compare, or have a value of nothing."""
    documents = sorted(rows[0].metrics[metric].documents) if rows else []
    if metric not in SUMS or len(documents) < 2:
        return None
    if any(row.metrics[metric].documents.keys() != set(documents) for row in rows):
        return None
    if metric in TOKENIZER_BOUND and len({row.subject.tokenizer_hash for row in rows}) > 1:
        return None
    total, weight = SUMS[metric]
    totals, weights = (_sums(rows, metric, key, documents) for key in (total, weight))
    ratios = totals.sum(axis=1) / weights.sum(axis=1)
    if (weights <= 0).any() or (ratios <= 0).any():
        return None
    moves = (ratios[:, None] * weights - totals) / (weights.sum(axis=1)[:, None] - weights)
    if metric.endswith("perplexity") or metric in TOKENIZER_BOUND:
        return _Documents(ratios, moves, weights)
    return _Documents(np.log(ratios), moves / ratios[:, None], weights)  # their ratios go through the logarithm


def _same_rounds(rows: Sequence[Row], metric: str) -> NDArray[np.float64] | None:
    """Logarithms of readings, rows × rounds; None where rows do not have the same rounds, or too few for intervals."""
    rounds = sorted(rows[0].metrics[metric].rounds) if rows else []
    if not median_rank(len(rounds)) or (metric in SUMS and all(row.metrics[metric].documents for row in rows)):
        return None
    if any(row.metrics[metric].rounds.keys() != set(rounds) for row in rows):
        return None
    readings = np.array([[row.metrics[metric].rounds[number] for number in rounds] for row in rows], dtype=np.float64)
    return None if (readings <= 0).any() else np.log(readings)


def _sums(rows: Sequence[Row], metric: str, key: str, documents: Sequence[int]) -> NDArray[np.float64]:
    """Sums by rows × documents."""
    found = [[row.metrics[metric].documents[number][key] for number in documents] for row in rows]
    return np.array(found, dtype=np.float64)
