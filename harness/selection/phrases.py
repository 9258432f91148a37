"""What the words on a recommendation are made of: values, limits and advantages as inline Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.language.markup import code
from harness.language.say import say
from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.records.units import in_scale, quantity, scale_of, with_interval
from harness.selection.comparison import Comparison
from harness.selection.limits import Limit
from harness.selection.scores import UseCase
from harness.stats.intervals import Estimate

_UNIT_IN_TITLE = ("bits/byte", "bits/char")
"""Units that the titles of their metrics name."""
_ROUNDING = 1e-9
_TIMES = 2.0
"""From this ratio on, an advantage is told in times, not in per cent."""


def title(metric: str) -> str:
    """What a metric is called."""
    return say(METRICS[metric].title)


def names(rows: Iterable[Row]) -> str:
    """The names of variants."""
    return ", ".join(code(row.variant) for row in rows)


def shown(row: Row, metric: str) -> str:
    """A value with its interval and its unit, such as ``1,040 [730, 1,410] tokens/s``."""
    estimate, unit = row.metrics[metric].estimate, METRICS[metric].unit
    return with_interval(estimate.value, estimate.low, estimate.high, "" if unit in _UNIT_IN_TITLE else unit)


def shown_measures(row: Row, use_case: UseCase) -> str:
    """The values of what a use case wants most; with their titles where there are several."""
    if use_case.objective:
        return shown(row, use_case.objective)
    return ", ".join(f"{title(metric)} {shown(row, metric)}" for metric in use_case.measures)


def shown_weights(use_case: UseCase) -> str:
    """What is weighed, with the weights as they were given."""
    return ", ".join(f"{title(metric)} × {weight:g}" for metric, weight in use_case.weights)


def shown_limit(limit: Limit) -> str:
    """A limit such as ``peak memory ≤ 512 MiB``."""
    bound = shown_bound(limit, limit.bound)
    return f"{title(limit.metric)} {'≤' if limit.comparison == '<=' else '≥'} {bound}"


def shown_bound(limit: Limit, bound: float) -> str:
    """A bound in the unit of a limit's metric."""
    return quantity(bound, METRICS[limit.metric].unit)


def times(ratio: Estimate) -> str:
    """A ratio with its interval: ``1.04 [1.02, 1.07]``."""
    low, high = _ends(ratio)
    return in_scale(ratio.value, low, high, scale_of([ratio.value], "ratio"))


def next_sentence(rival: Row, use_case: UseCase, comparison: Comparison) -> str:
    """Who came next, with its value and the advantage of the choice over it."""
    places = {"variant": code(rival.variant), "value": shown_measures(rival, use_case)}
    ratio = comparison.ratio
    if not math.isfinite(ratio.value) or ratio.value <= 0:
        return say("Next is {variant} with {value}; there is no ratio to zero.", **places)
    kind, amount = _advantage(ratio)
    if use_case.weights:
        return say(
            "Next is {variant} with {value}; all weighed, the choice is {amount} better.", amount=amount, **places
        )
    if kind == "times":
        return say("Next is {variant} with {value}; the choice is at {amount} times that.", amount=amount, **places)
    if kind == "higher":
        return say("Next is {variant} with {value}; the choice is {amount} higher.", amount=amount, **places)
    return say("Next is {variant} with {value}; the choice is {amount} lower.", amount=amount, **places)


def worse_sentence(rival: Row, use_case: UseCase, comparison: Comparison) -> str:
    """By how much a rival is worse than the choice at what a use case wants most."""
    value, ratio = shown_measures(rival, use_case), comparison.ratio
    if use_case.weights and not math.isfinite(ratio.value):
        return say("All weighed ({value}), there is no ratio to zero.", value=value)
    if use_case.weights:
        return say("All weighed ({value}), the choice is {amount} better.", value=value, amount=_advantage(ratio)[1])
    metric = title(use_case.objective)
    if not math.isfinite(ratio.value) or ratio.value <= 0:
        return say("Its {metric} is {value}; there is no ratio to zero.", metric=metric, value=value)
    kind, amount = _advantage(ratio)
    places = {"metric": metric, "value": value, "amount": amount}
    if kind == "times":
        return say("Its {metric} is {value}; that of the choice is {amount} times as high.", **places)
    if kind == "higher":
        return say("Its {metric} is {value}; that of the choice is {amount} higher.", **places)
    return say("Its {metric} is {value}; that of the choice is {amount} lower.", **places)


def has_interval(comparison: Comparison) -> bool:
    """Whether an advantage has an interval, which that of exact values is a point of, or needs none, being infinite."""
    return comparison.ratio.low is not None or not math.isfinite(comparison.ratio.value)


def _advantage(ratio: Estimate) -> tuple[str, str]:
    """``times``, ``higher`` or ``lower`` for the choice, and by how much."""
    if ratio.value >= _TIMES:
        return "times", times(ratio)
    low, high = _ends(ratio)
    if low is None or high is None:
        return "higher" if ratio.value >= 1 else "lower", quantity(abs(ratio.value - 1), "fraction")
    if ratio.value >= 1:
        return "higher", with_interval(ratio.value - 1, low - 1, high - 1, "fraction")
    # of a lower one, the far end of the ratio is the lesser advantage
    return "lower", with_interval(1 - ratio.value, 1 - high, 1 - low, "fraction")


def _ends(ratio: Estimate) -> tuple[float | None, float | None]:
    """The ends of an interval that is worth showing: finite, and wider than the rounding of floats."""
    low, high = ratio.low, ratio.high
    if low is None or high is None or not math.isfinite(high) or high - low < _ROUNDING * abs(ratio.value):
        return None, None
    return low, high
