"""Regressed, improved, unchanged or undecided: the verdict on a metric that was measured before and after a change.

Changes are logarithms of ratios, turned so that a positive one is worse. One stands for one block: base and new
measured side by side in fresh processes. A fourth verdict is needed because a test that only knows two says "fine"
where it has seen nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist
from typing import Literal, TypeVar

from harness.stats.intervals import Estimate, median, median_estimate
from harness.stats.quantiles import Z95

Verdict = Literal["regressed", "improved", "unchanged", "undecided"]
Key = TypeVar("Key")

LOOKS = {6: 1 - 2 / 2**6, 12: 1 - 2 * 13 / 2**12, 20: 1 - 2 * 6196 / 2**20}
"""Numbers of blocks at which the data may be looked at, each with the coverage that its interval must have: that of
[min, max] of 6, of the second and last but one of 12, of the fifth and last but four of 20. Together they miss the
median in at most 5 % of comparisons (4.9 %, by Bonferroni), however many looks are taken."""
CONFIRMING = 9
"""Fresh blocks that confirm a change: of nine, one outlier at each end stands outside of the interval; of six, none."""
FALSE_DISCOVERIES = 0.05
"""The share of false ones among the changes that are reported, at most."""
MEDIAN_COST = math.sqrt(math.pi / 2)
"""How much wider a median is than a mean of normal values."""
POWER = 0.8
"""The share of tries in which the smallest change that is told is found."""
_POWER_ERRORS = Z95 + NormalDist().inv_cdf(POWER)
"""Standard errors from which a change that has a normal interval is found so often: 1.96 + 0.84."""
_BY_BLOCKS = "order statistics of the median"
"""How ``median_estimate`` calls its method."""
_FEW_VALUES = (1.0, 1.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107)
"""By how much the median distance of so many normal values is too small, by their number."""


@dataclass(frozen=True)
class Rule:
    """When a change matters: beyond ``threshold`` (a fraction of base) and beyond ``floor``, in the metric's unit."""

    threshold: float
    higher_is_better: bool
    floor: float = 0.0

    def bound(self, base: float) -> float:
        """The least change that matters to a metric that was ``base`` before, as a logarithm."""
        relative = self.floor / abs(base) if base else 0.0
        return math.log1p(max(self.threshold, relative))


@dataclass(frozen=True)
class Judgement:
    """A verdict on a metric with what it stands on.

    ``ratio`` is new / base with its interval. ``bound`` is the change beyond which it counts, as a fraction;
    ``noise`` what base showed against itself (None where that was not measured). ``smallest`` is the change that would
    be found in 80 % of tries with as many blocks, or with the fewest that can decide, None where one value cannot
    tell; ``more_blocks`` how many more would decide, None where more would not help. ``p_value`` is that of no change
    beyond the bound, two-sided.
    """

    verdict: Verdict
    ratio: Estimate
    bound: float
    p_value: float = 1.0
    noise: float | None = None
    smallest: float | None = None
    more_blocks: int | None = None
    reason: str = ""


def change(base: float, new: float, higher_is_better: bool) -> float:
    """log(new / base), turned so that more is worse; 0 where both are 0, infinite where one is.

    Raises ValueError for a negative value.
    """
    if base < 0 or new < 0 or math.isnan(base) or math.isnan(new):
        raise ValueError(f"{base} and {new} have no ratio")
    if base == new:
        return 0.0
    if 0 in (base, new) or math.inf in (base, new):
        up = math.inf if base < new else -math.inf
    else:
        ratio = new / base  # not exact, or beyond what a float holds, for values of very different size
        up = math.log(ratio) if 1e-300 < ratio < 1e300 else math.log(new) - math.log(base)
    return -up if higher_is_better else up


def judge(
    changes: Sequence[float], noise: Sequence[float], rule: Rule, base: float, confidence: float = 0.95
) -> Judgement:
    """The verdict on the changes of blocks, by the distribution-free interval of their median at ``confidence``.

    ``noise`` are the changes of base against itself in the same blocks; the bound of a regression is the larger of the
    rule's and the far end of the interval of their median. *Regressed* and *improved*: the interval lies wholly beyond
    that bound. *Unchanged*: it lies wholly within the rule's own bound, so that a noisy machine finds nothing
    unchanged for its noise. *Undecided*: everything else. Fewer than six blocks (more for a higher confidence) decide
    nothing; none raises ValueError.
    """
    found = median_estimate(changes, confidence)
    own, floor = rule.bound(base), _noise_floor(noise)
    bound, fewest = max(own, floor or 0.0), math.ceil(math.log2(2 / (1 - confidence)))
    about = Judgement(
        "undecided",
        _as_ratio(found, rule.higher_is_better),
        _fraction(bound),
        p_value=_sign_test(changes, bound),
        noise=None if floor is None else _fraction(floor),
        smallest=_smallest(changes, bound, max(fewest, len(changes)), confidence),
    )
    if found.low is None or found.high is None:
        return replace(about, more_blocks=max(1, fewest - len(changes)), reason=f"{len(changes)} of {fewest} blocks")
    verdict = _place(found.low, found.high, own, bound)
    if verdict != "undecided":
        return replace(about, verdict=verdict)
    more = _more_blocks(changes, found.value, own, bound)
    return replace(about, more_blocks=more, reason=_why(found.value, own, bound))


def judge_interval(ratio: Estimate, rule: Rule) -> Judgement:
    """The verdict on a ratio that has an interval of its own, such as a quality over the same documents.

    The p-value takes the interval for a normal one, on the scale of logarithms.
    """
    bound = rule.bound(1.0)
    about = Judgement("undecided", ratio, _fraction(bound))
    if ratio.low is None or ratio.high is None:
        return replace(about, reason="no interval")
    value, low, high = (_signed_log(each, rule.higher_is_better) for each in (ratio.value, ratio.low, ratio.high))
    low, high = min(low, high), max(low, high)
    verdict = _place(low, high, bound, bound)
    error = (high - low) / (2 * Z95)
    distance = abs(value) - bound
    p_value = float(distance <= 0) if not error > 0 else min(1.0, math.erfc(distance / error / math.sqrt(2)))
    smallest = _fraction(bound + _POWER_ERRORS * error) if math.isfinite(error) else None
    reason = "" if verdict != "undecided" else "the interval reaches across the bound"
    return replace(about, verdict=verdict, p_value=p_value, smallest=smallest, reason=reason)


def judge_exact(base: float, new: float, rule: Rule) -> Judgement:
    """The verdict on values without noise, such as bytes of weights: beyond the rule's bound and its floor or not."""
    worse, bound = change(base, new, rule.higher_is_better), rule.bound(base)
    if abs(new - base) <= rule.floor:  # a ratio to 0 is infinite, however little was added
        worse = 0.0
    verdict: Verdict = "regressed" if worse > bound else "improved" if worse < -bound else "unchanged"
    ratio = 1.0 if base == new else math.inf if base == 0 else new / base
    return Judgement(verdict, Estimate(ratio, ratio, ratio, 1, "exact values"), _fraction(bound), p_value=0.0)


def control_false_discoveries(judgements: Mapping[Key, Judgement]) -> dict[Key, Judgement]:
    """The same judgements, but regressions and improvements that do not stand among so many metrics are undecided.

    Benjamini & Hochberg 1995, Journal of the Royal Statistical Society B 57(1): of the p-values in order, those up to
    the last that is at most its rank times the rate over their number. Exact values, without noise, are no tests.
    """
    tests = {key: each for key, each in judgements.items() if each.ratio.method != "exact values"}
    p_values = sorted(each.p_value for each in tests.values())
    rate = FALSE_DISCOVERIES / max(len(p_values), 1)
    limit = max((p for rank, p in enumerate(p_values, start=1) if p <= rank * rate), default=-1.0)
    held = dict(judgements)
    for key, each in tests.items():
        if each.verdict in ("regressed", "improved") and each.p_value > limit:
            reason = f"could be a false alarm among {len(tests)} metrics (p = {each.p_value:.2g})"
            # a block on the same side halves the p-value; documents, unlike blocks, cannot be had by waiting
            more = max(1, math.ceil(math.log2(each.p_value / rate))) if each.ratio.method == _BY_BLOCKS else None
            held[key] = replace(each, verdict="undecided", more_blocks=more, reason=reason)
    return held


def confirms(first: Judgement, second: Judgement, rule: Rule) -> bool:
    """Whether fresh blocks agree with a change: their median lies beyond its bound, and their interval on its side.

    There is nothing to confirm where ``first`` is unchanged or undecided, nor can blocks without an interval.
    """
    if first.verdict not in ("regressed", "improved") or second.ratio.low is None or second.ratio.high is None:
        return False
    ends = [_signed_log(each, rule.higher_is_better) for each in (second.ratio.low, second.ratio.high)]
    value, side = _signed_log(second.ratio.value, rule.higher_is_better), 1 if first.verdict == "regressed" else -1
    return side * value > math.log1p(first.bound) and all(side * end > 0 for end in ends)


def _place(low: float, high: float, own: float, bound: float) -> Verdict:
    if low > bound:
        return "regressed"
    if high < -bound:
        return "improved"
    return "unchanged" if -own <= low and high <= own else "undecided"


def _why(value: float, own: float, bound: float) -> str:
    if own < abs(value) <= bound:
        return "beyond the threshold, but base differs as much from itself"
    return "the interval reaches across the bound"


def _noise_floor(noise: Sequence[float]) -> float | None:
    """How far the median of no change can be from none: the far end of its 95 % interval, or of all where few."""
    if not noise:
        return None
    found = median_estimate(noise)
    low, high = (min(noise), max(noise)) if found.low is None or found.high is None else (found.low, found.high)
    return max(abs(low), abs(high))


def _sign_test(changes: Sequence[float], bound: float) -> float:
    """Two-sided p-value of the median lying within ± bound (sign test: David & Nagaraja, Order Statistics, 7.1)."""
    n = len(changes)
    beyond = max(sum(each > bound for each in changes), sum(each < -bound for each in changes))
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(beyond, n + 1)) / 2.0**n)


def spread(changes: Sequence[float]) -> float:
    """A standard deviation that outliers do not move: 1.4826 times the median distance from the median, and what few
    values make of that too little (Croux & Rousseeuw 1992, Computational Statistics 1, section 4)."""
    centre, n = median(changes), len(changes)
    few = _FEW_VALUES[n] if n < len(_FEW_VALUES) else n / (n - 0.8)
    return few * 1.4826 * median([abs(each - centre) for each in changes])


def _smallest(changes: Sequence[float], bound: float, blocks: int, confidence: float) -> float | None:
    """By normal theory: the end of the interval clears the bound where all but rank - 1 blocks do; see ``POWER``."""
    if len(changes) < 2 or not all(map(math.isfinite, changes)):
        return None
    return _fraction(bound + _power_deviations(blocks, confidence) * spread(changes))


@cache
def _power_deviations(blocks: int, confidence: float) -> float:
    """Standard deviations beyond a bound from which the interval of so many normal values clears it in 80 % of tries:
    a value must be beyond it with the probability at which all but rank - 1 of them are in 80 % of tries."""
    rank = round(median_estimate(range(1, blocks + 1), confidence).low or 1)
    low, high = 0.5, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        cleared = sum(math.comb(blocks, k) * middle ** (blocks - k) * (1 - middle) ** k for k in range(rank))
        low, high = (low, middle) if cleared >= POWER else (middle, high)
    return NormalDist().inv_cdf(low)


def _more_blocks(changes: Sequence[float], value: float, own: float, bound: float) -> int | None:
    """Blocks until the interval would leave the nearer bound: (1.96 * 1.25 * s / distance)^2 of them altogether."""
    size = abs(value)
    distance = size - bound if size > bound else own - size
    if not distance > 0 or not all(map(math.isfinite, changes)):
        return None
    enough = math.ceil((Z95 * MEDIAN_COST * spread(changes) / distance) ** 2)
    return max(1, enough - len(changes))


def _as_ratio(found: Estimate, higher_is_better: bool) -> Estimate:
    """An estimate of changes as one of new / base."""
    sign = -1 if higher_is_better else 1
    ends = [None if end is None else _exp(sign * end) for end in (found.low, found.high)]
    low, high = reversed(ends) if higher_is_better else ends
    return Estimate(_exp(sign * found.value), low, high, found.n, found.method)


def _signed_log(ratio: float, higher_is_better: bool) -> float:
    return change(1.0, ratio, higher_is_better)


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _fraction(logarithm: float) -> float:
    """The change as a fraction of base that a logarithm of a ratio stands for; infinite where that overflows."""
    try:
        return math.expm1(logarithm)
    except OverflowError:
        return math.inf
