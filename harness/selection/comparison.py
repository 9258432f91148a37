"""Two rows compared in pairs: over the same documents, or over the same rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.records.metrics import METRICS, PERPLEXITY
from harness.records.rows import Row
from harness.records.values import Value
from harness.stats.intervals import Estimate, exponential
from harness.stats.paired import paired_ratio_difference, paired_time_ratio

SINGLE_READING = 0.05
"""Two single readings that differ by less than this share are not told apart."""
TOKENIZER_BOUND = (
    *PERPLEXITY.values(),
    "pseudo_perplexity",
    "pseudo_perplexity_by_token",
    "infilling_perplexity",
    "batched_perplexity",
)
"""Metrics a token: comparable only between models that share a tokenizer."""

SUMS = {
    **dict.fromkeys(TOKENIZER_BOUND, ("nll", "tokens")),
    "word_perplexity": ("nll", "words"),
    "byte_perplexity": ("nll", "bytes"),
    "bits_per_byte": ("nll", "bytes"),
    "continuation_bits_per_byte": ("bits", "bytes"),
    "cloze_accuracy": ("correct", "items"),
    "cloze_accuracy_both_sides": ("correct", "items"),
    "cloze_bits_per_char": ("bits", "characters"),
    "cloze_bits_per_char_both_sides": ("bits", "characters"),
    "forced_choice_accuracy": ("correct", "items"),
    "blimp_accuracy": ("correct", "items"),
}
"""What a quality metric is the ratio of, in the sums of a document; perplexities are exp of it."""


@dataclass(frozen=True)
class Comparison:
    """new / base of a metric. ``better`` is None where the interval does not settle it."""

    ratio: Estimate
    better: bool | None


def compare(base: Row, new: Row, metric: str) -> Comparison | None:
    """Compare a metric of two rows; None where one lacks it or where its values are not comparable.

    Quality is paired by document, timings by round. Exact metrics (sizes) stand for themselves, and any difference
    counts; a single reading of memory is taken to be good to 5 %. Fewer than six common rounds give no interval: then
    nothing is settled.
    """
    before, after = base.metrics.get(metric), new.metrics.get(metric)
    if before is None or after is None:
        return None
    if metric in TOKENIZER_BOUND and base.subject.tokenizer_hash != new.subject.tokenizer_hash:
        return None
    ratio = _ratio(before, after, metric)
    return None if ratio is None else Comparison(ratio, _better(ratio, metric))


def _ratio(before: Value, after: Value, metric: str) -> Estimate | None:
    if metric in SUMS and before.documents and after.documents:
        return ratio_by_document(before, after, metric)
    rounds = sorted(set(before.rounds) & set(after.rounds))
    if rounds:
        return paired_time_ratio([before.rounds[r] for r in rounds], [after.rounds[r] for r in rounds])
    if before.rounds or after.rounds or before.estimate.value <= 0:
        return None
    ratio = after.estimate.value / before.estimate.value
    if METRICS[metric].measure == "memory":
        return Estimate(ratio, ratio * (1 - SINGLE_READING), ratio * (1 + SINGLE_READING), 1, "single readings, 5 %")
    return Estimate(ratio, ratio, ratio, 1, "exact values")


def ratio_by_document(before: Value, after: Value, metric: str) -> Estimate | None:
    """after / before over the documents that both have: of perplexities, or of other ratios (through their logarithm,
    by the delta method). None where there are none."""
    common = sorted(set(before.documents) & set(after.documents))
    if not common:
        return None
    total, weight = SUMS[metric]
    bt, bw = [[before.documents[d][key] for d in common] for key in (total, weight)]
    nt, nw = [[after.documents[d][key] for d in common] for key in (total, weight)]
    difference = paired_ratio_difference(bt, bw, nt, nw)
    if metric.endswith("perplexity") or metric in TOKENIZER_BOUND:
        return exponential(difference)
    base, new = math.fsum(bt) / math.fsum(bw), math.fsum(nt) / math.fsum(nw)
    if base == 0 or new == 0:
        return _ratio_with_zero(base, new, difference)
    relative = paired_ratio_difference([t / base for t in bt], bw, [t / new for t in nt], nw)
    value = math.log(new / base)
    low, high = (None if end is None else value + end for end in (relative.low, relative.high))
    return exponential(Estimate(value, low, high, relative.n, relative.method))


def _ratio_with_zero(base: float, new: float, difference: Estimate) -> Estimate:
    """A ratio to or of an accuracy of nothing: 1 where both are, else settled only if their difference is."""
    value = 1.0 if base == new else math.inf if base == 0 else 0.0
    if difference.low is None or difference.high is None:
        return Estimate(value, None, None, difference.n, difference.method)
    settled = base == new or difference.low * difference.high > 0
    low, high = (value, value) if settled else (0.0, math.inf)
    return Estimate(value, low, high, difference.n, difference.method)


def surely_better(ratio: Estimate, metric: str) -> bool:
    """Whether a ratio to something says that a metric is better than that, beyond its interval."""
    return _better(ratio, metric) is True


def _better(ratio: Estimate, metric: str) -> bool | None:
    if ratio.low is None or ratio.high is None or ratio.low <= 1.0 <= ratio.high:
        return None
    return (ratio.low > 1.0) == METRICS[metric].higher_is_better
