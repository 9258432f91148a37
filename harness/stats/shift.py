"""By how much one sample lies above another, without pairs and without assuming a distribution: the shift of
Hodges & Lehmann with the interval and the test of Mann & Whitney."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from harness.stats.intervals import Estimate, exponential, median
from harness.stats.verdicts import Judgement, Rule, change, judge_interval

METHOD = "ordered differences of two samples"
EXACT_PAIRS = 2500
"""Up to this many pairs (50 readings against 50) the distribution is counted, beyond it the normal one stands in."""


def shift_estimate(base: Sequence[float], new: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The median of all differences new - base, with the narrowest pair of ordered differences that covers the shift
    at ``confidence``; ``n`` is the number of readings of the smaller sample.

    Of m * n ordered differences, [D_(k), D_(mn+1-k)] covers with 1 - 2 P(U < k), U being the count of Mann & Whitney
    where nothing differs (Lehmann, Nonparametrics, 1975, chapter 2). Four against four are the fewest of equal
    samples that reach 95 % (97.1 %); with fewer there is no interval. Raises ValueError on an empty sample.
    """
    if not base or not new:
        raise ValueError("the shift of no readings")
    pairs, fewest = len(base) * len(new), min(len(base), len(new))
    differences = sorted(after - before for after in new for before in base)
    rank = _rank(len(base), len(new), confidence)
    if rank == 0:
        return Estimate(median(differences), None, None, fewest, f"{METHOD}, too few for an interval")
    return Estimate(median(differences), differences[rank - 1], differences[pairs - rank], fewest, METHOD)


def ratio_estimate(base: Sequence[float], new: Sequence[float]) -> Estimate:
    """new / base of positive readings that do not pair: exp of the shift of their logarithms, see ``shift_estimate``.
    Raises ValueError on an empty sample or a reading that is not positive."""
    if any(not reading > 0 for reading in (*base, *new)):
        raise ValueError("a reading that is not positive has no ratio")
    return exponential(shift_estimate([math.log(each) for each in base], [math.log(each) for each in new]))


def shift_p_value(base: Sequence[float], new: Sequence[float], bound: float = 0.0) -> float:
    """Two-sided p-value of the shift lying within ± bound (Mann & Whitney 1947, Annals of Mathematical Statistics
    18(1)). A difference of exactly the bound does not count as beyond it, so ties make it no smaller."""
    differences = [after - before for after in new for before in base]
    beyond = max(sum(each > bound for each in differences), sum(each < -bound for each in differences))
    return min(1.0, 2 * _tail(len(base), len(new), len(differences) - beyond))


def readings_needed(p_value: float) -> int:
    """The fewest readings of each sample with which a two-sided test can reach a p-value, which is above 0."""
    each = 1
    while 2 / math.comb(2 * each, each) > p_value:
        each += 1
    return each


def judge_shift(base: Sequence[float], new: Sequence[float], rule: Rule, noise: float) -> Judgement:
    """The verdict on positive readings of two samples that were not taken side by side.

    ``noise`` is the fraction by which medians move from one time to another where nothing changed. *Regressed* and
    *improved*: the interval of the shift of logarithms lies wholly beyond the larger of the rule's bound and the noise.
    *Unchanged*: wholly within the rule's own bound. The smallest change that would be found is told from the width of
    the interval. Raises ValueError for an empty sample or a reading that is not positive.
    """
    ratio = ratio_estimate(base, new)
    before, after = [math.log(each) for each in base], [math.log(each) for each in new]
    own = rule.bound(median(base))
    bound = max(own, math.log1p(noise))
    beyond, within = (judge_interval(ratio, Rule(math.expm1(end), rule.higher_is_better)) for end in (bound, own))
    about = replace(beyond, p_value=shift_p_value(before, after, bound), noise=noise)
    if ratio.low is None:
        return replace(
            about, reason=f"{len(base)} against {len(new)} rounds give no interval; four each are the fewest"
        )
    if beyond.verdict in ("regressed", "improved"):
        return about
    if within.verdict == "unchanged":
        return replace(about, verdict="unchanged", reason="")
    reason = "the interval reaches across the bound"
    if own < abs(change(1.0, ratio.value, rule.higher_is_better)) <= bound:
        reason = "beyond the threshold, but runs differ as much from time to time"
    return replace(about, verdict="undecided", reason=reason)


def _rank(m: int, n: int, confidence: float) -> int:
    """The largest k with 1 - 2 P(U < k) of at least ``confidence``; 0 where there is none."""
    rank = 0
    while rank < m * n // 2 and 1 - 2 * _tail(m, n, rank) >= confidence:
        rank += 1
    return rank


def _tail(m: int, n: int, count: int) -> float:
    """P(U <= count) of samples of m and n that do not differ."""
    if m * n > EXACT_PAIRS:
        deviation = math.sqrt(m * n * (m + n + 1) / 12)
        return 0.5 * math.erfc((m * n / 2 - count - 0.5) / deviation / math.sqrt(2))
    return _cumulated(m, n)[count] / math.comb(m + n, m)


@lru_cache(maxsize=64)
def _cumulated(m: int, n: int) -> tuple[int, ...]:
    """In how many of the orders of m and n readings U is at most 0, 1, ... m * n: coefficients, summed up, of the
    product of (1 - q^(n+i)) / (1 - q^i) over i from 1 to m (Andrews, The Theory of Partitions, chapter 3)."""
    size = m * n + 1
    counts = [1] + [0] * (size - 1)
    for i in range(1, m + 1):
        for power in range(size - 1, n + i - 1, -1):
            counts[power] -= counts[power - n - i]
        for power in range(i, size):
            counts[power] += counts[power - i]
    total, cumulated = 0, []
    for count in counts:
        total += count
        cumulated.append(total)
    return tuple(cumulated)
