"""How often each variant would win if other documents and other rounds had been drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.records.rows import Row
from harness.selection.comparison import SUMS, TOKENIZER_BOUND
from harness.selection.limits import Limit
from harness.selection.scores import UseCase, sign
from harness.stats.resampling import FEWEST, Floats, Indexes, draw, drawn_medians, drawn_ratios

REPLICATES = 1000
Unit = Literal["documents", "rounds"]
_UNITS: tuple[Unit, ...] = ("documents", "rounds")


@dataclass(frozen=True)
class Resampling:
    """Shares of replicates in which a variant wins, by variant, the most frequent first; those that never win are not
    named, and where in some replicates nobody keeps the limits, shares add up to less than 1.

    ``drawn`` are the units that were drawn, with how many there are; ``fixed`` the metrics that do not vary: sizes, and
    what was read once. ``few`` says of which units there are too few to tell anything, with how many there are; then
    and where nothing varies there are no shares.
    """

    replicates: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    drawn: dict[Unit, int] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    few: tuple[Unit, int] | None = None

    def share(self, rows: Sequence[Row]) -> float:
        """The share of replicates in which one of some variants wins."""
        return math.fsum(self.shares.get(row.variant, 0.0) for row in rows)


def resample(
    rows: Sequence[Row],
    use_case: UseCase,
    limits: Sequence[Limit] = (),
    replicates: int = REPLICATES,
    generator: np.random.Generator | None = None,
) -> Resampling:
    """How often each of ``rows`` is the best by value, among those that keep ``limits`` by value, when documents and
    rounds are drawn again with replacement: the same ones for all rows, and for all metrics.

    Every replicate computes metrics as rows do: the median over rounds, ratios of sums over documents. All rows must
    have the metrics of use case and limits. Only documents and rounds that all rows share are drawn from; below
    ``FEWEST`` of them nothing can be told. ``generator`` defaults to one with a fixed seed, so that a report says the
    same each time.
    """
    metrics = list(dict.fromkeys([*use_case.measures, *(limit.metric for limit in limits)]))
    units = {metric: _unit(rows, metric) for metric in metrics}
    fixed = tuple(metric for metric, unit in units.items() if unit is None)
    shared = {unit: _shared(rows, metrics, units, unit) for unit in _UNITS if unit in units.values()}
    for unit, found in shared.items():
        if len(found) < FEWEST:
            return Resampling(fixed=fixed, few=(unit, len(found)))
    if not rows or not shared:
        return Resampling(fixed=fixed)
    source = generator or np.random.default_rng(0)
    drawn = {unit: draw(len(found), replicates, source) for unit, found in shared.items()}
    table = {metric: _replicated(rows, metric, units[metric], shared, drawn, replicates) for metric in metrics}
    shares = _shares(rows, use_case, limits, table)
    return Resampling(replicates, shares, {unit: len(found) for unit, found in shared.items()}, fixed)


def _unit(rows: Sequence[Row], metric: str) -> Unit | None:
    """What a metric is drawn by; None where it does not vary in any row."""
    values = [row.metrics[metric] for row in rows]
    if metric in SUMS and any(value.documents for value in values):
        return "documents"
    return "rounds" if any(value.rounds for value in values) else None


def _shared(rows: Sequence[Row], metrics: Sequence[str], units: dict[str, Unit | None], unit: Unit) -> list[int]:
    """The documents or rounds that all rows have for all metrics of that unit."""
    found = [
        set(row.metrics[metric].documents if unit == "documents" else row.metrics[metric].rounds)
        for metric in metrics
        if units[metric] == unit
        for row in rows
    ]
    return sorted(set.intersection(*found)) if found else []


def _replicated(
    rows: Sequence[Row],
    metric: str,
    unit: Unit | None,
    shared: dict[Unit, list[int]],
    drawn: dict[Unit, Indexes],
    replicates: int,
) -> Floats:
    """A metric in every replicate: rows × replicates."""
    if unit is None:
        return np.repeat([[row.metrics[metric].estimate.value] for row in rows], replicates, axis=1)
    if unit == "rounds":
        readings = [[row.metrics[metric].rounds[number] for number in shared[unit]] for row in rows]
        return drawn_medians(np.array(readings, dtype=np.float64), drawn[unit])
    total, weight = (_sums(rows, metric, key, shared[unit]) for key in SUMS[metric])
    return metric_of(metric, drawn_ratios(total, weight, drawn[unit]))


def metric_of(metric: str, ratios: Floats) -> Floats:
    """A quality metric from what ``SUMS`` says that it is the ratio of: perplexities are exp of it, infinite where that
    overflows, and bits per byte are made of nats."""
    if metric.endswith("perplexity") or metric in TOKENIZER_BOUND:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(ratios))
    return ratios / math.log(2) if metric == "bits_per_byte" else ratios


def _sums(rows: Sequence[Row], metric: str, key: str, documents: Sequence[int]) -> Floats:
    found = [[row.metrics[metric].documents[number][key] for number in documents] for row in rows]
    return np.array(found, dtype=np.float64)


def _shares(
    rows: Sequence[Row], use_case: UseCase, limits: Sequence[Limit], table: dict[str, Floats]
) -> dict[str, float]:
    kept: NDArray[np.bool_] = np.ones_like(next(iter(table.values())), dtype=np.bool_)
    for limit in limits:
        values = table[limit.metric]
        kept &= values <= limit.bound if limit.comparison == "<=" else values >= limit.bound
    scores = np.zeros(kept.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        for metric, share in use_case.measures.items():
            scores += share * sign(metric) * np.log(table[metric])
    lowest = np.finfo(np.float64).min  # an accuracy of nothing still beats one that misses a limit
    scores = np.where(kept, np.nan_to_num(scores, nan=lowest, neginf=lowest), -np.inf)
    winners = scores.argmax(axis=0)[kept.any(axis=0)]
    wins = np.bincount(winners, minlength=len(rows)) / kept.shape[1]
    order = np.argsort(-wins, kind="stable").tolist()
    return {rows[at].variant: float(wins[at]) for at in order if wins[at] > 0}
