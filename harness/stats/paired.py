"""Paired comparisons: two subjects measured on the same documents or in the same rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.stats.intervals import Z95, Estimate, exponential, median_estimate


def paired_time_ratio(base: Sequence[float], new: Sequence[float]) -> Estimate:
    """new / base from readings of the same rounds: exp of the median log-ratio, interval from order statistics.

    Raises ValueError when the counts differ, when there are no readings, or when one is not positive.
    """
    if any(value <= 0 for value in (*base, *new)):
        raise ValueError("a reading that is not positive has no ratio")
    ratios = [math.log(after / before) for before, after in zip(base, new, strict=True)]
    return exponential(median_estimate(ratios))


def paired_ratio_difference(
    base_totals: Sequence[float],
    base_weights: Sequence[float],
    new_totals: Sequence[float],
    new_weights: Sequence[float],
) -> Estimate:
    """sum(new_totals) / sum(new_weights) minus the same of base, over the same documents, with a 95 % interval.

    The variance is that of the per-document difference of the two ratios' residuals, so what both subjects find
    hard cancels (Miller 2024, arXiv 2411.00640, section 4.2). Raises ValueError when the documents differ in number
    or nothing was scored.
    """
    base_weight, new_weight = math.fsum(base_weights), math.fsum(new_weights)
    if base_weight <= 0 or new_weight <= 0:
        raise ValueError("nothing was scored")
    base_ratio, new_ratio = math.fsum(base_totals) / base_weight, math.fsum(new_totals) / new_weight
    residuals = [
        (nt - new_ratio * nw) / new_weight - (bt - base_ratio * bw) / base_weight
        for bt, bw, nt, nw in zip(base_totals, base_weights, new_totals, new_weights, strict=True)
    ]
    documents = len(residuals)
    difference = new_ratio - base_ratio
    if documents < 2:
        return Estimate(difference, None, None, documents, "one document, no interval")
    error = math.sqrt(documents / (documents - 1) * math.fsum(r * r for r in residuals))
    return Estimate(
        difference, difference - Z95 * error, difference + Z95 * error, documents, "paired, clustered by document"
    )
