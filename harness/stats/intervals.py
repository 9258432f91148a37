"""Intervals for one value: order statistics for timings, clustered by document for likelihoods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; ``low`` and ``high`` are None where the data cannot give one."""

    value: float
    low: float | None
    high: float | None
    n: int
    method: str


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones. Raises ValueError on no values."""
    if not values:
        raise ValueError("the median of no values")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def median_estimate(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Median with the narrowest symmetric pair of order statistics that covers it at ``confidence``.

    Distribution-free: the number of values below the median is Binomial(n, 1/2), so [x_(k), x_(n+1-k)] covers with
    1 - 2 P(B < k) (David & Nagaraja, Order Statistics, section 7.1). Six values are the fewest that reach 95 %
    ([min, max] covers 96.9 %); with fewer there is no interval.
    """
    n = len(values)
    ordered = sorted(values)
    rank, tail = 0, 0.0
    while rank < n // 2:
        tail += math.comb(n, rank) / 2**n
        if 1 - 2 * tail < confidence:
            break
        rank += 1
    if rank == 0:
        return Estimate(median(ordered), None, None, n, f"median of {n}, too few for an interval")
    return Estimate(median(ordered), ordered[rank - 1], ordered[n - rank], n, "order statistics of the median")


def percentile(values: Sequence[float], share: float) -> float:
    """The ``share`` quantile (0 to 1) by linear interpolation. Raises ValueError on no values."""
    if not values:
        raise ValueError("a percentile of no values")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def clustered_ratio(totals: Sequence[float], weights: Sequence[float]) -> Estimate:
    """The ratio sum(totals) / sum(weights) over clusters, with a 95 % normal interval clustered by them.

    For a mean negative log-likelihood per token, ``totals`` are nats and ``weights`` tokens per document:
    SE = sqrt(D / (D - 1) * sum_d (total_d - ratio * weight_d)^2) / sum(weights) (Cochran, Sampling Techniques,
    section 6.3; for language models Miller 2024, arXiv 2411.00640). One cluster gives no interval.
    Raises ValueError when no weight is positive.
    """
    weight = math.fsum(weights)
    if weight <= 0:
        raise ValueError("nothing was scored")
    ratio = math.fsum(totals) / weight
    clusters = sum(1 for each in weights if each > 0)
    if clusters < 2:
        return Estimate(ratio, None, None, clusters, "one document, no interval")
    residuals = math.fsum((t - ratio * w) ** 2 for t, w in zip(totals, weights, strict=True))
    error = math.sqrt(clusters / (clusters - 1) * residuals) / weight
    return Estimate(ratio, ratio - Z95 * error, ratio + Z95 * error, clusters, "clustered by document")


def exponential(estimate: Estimate) -> Estimate:
    """exp of an estimate and of its ends: a perplexity from a mean loss in nats; infinite where exp overflows."""
    low = None if estimate.low is None else _exp(estimate.low)
    high = None if estimate.high is None else _exp(estimate.high)
    return Estimate(_exp(estimate.value), low, high, estimate.n, estimate.method)


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
