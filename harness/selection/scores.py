"""What a use case wants most, as a score: one metric, or several that are weighed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.selection.comparison import Comparison, compare
from harness.selection.limits import Limit
from harness.stats.intervals import Estimate, exponential


@dataclass(frozen=True)
class UseCase:
    """What somebody needs; see docs/suites.md. Either ``objective`` is the metric to be best at, or ``weights`` holds
    metrics with what they count. Raises ValueError for both, for none, and for weights that are not positive."""

    title: str
    families: tuple[str, ...]
    objective: str = ""
    tie_breakers: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    weights: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if bool(self.objective) == bool(self.weights):
            raise ValueError("expected either an objective or weights")
        if not all(0 < weight < math.inf for _, weight in self.weights):
            raise ValueError("expected weights above 0")

    @property
    def measures(self) -> dict[str, float]:
        """The metrics that decide, each with its share of the weight; shares add up to 1."""
        if self.objective:
            return {self.objective: 1.0}
        total = math.fsum(weight for _, weight in self.weights)
        return {metric: weight / total for metric, weight in self.weights}


def score(row: Row, use_case: UseCase) -> float | None:
    """How good a variant is at what a use case wants most; more is better. None where something was not measured.

    It is the weighted mean of the logarithms of its metrics, negative for those that should be low; that is, the
    logarithm of a weighted geometric mean. So a weight says how many per cent of one metric are worth a per cent of
    another, whatever their units, and as nothing is scaled by the best or the worst of the candidates, adding a bad one
    never changes the order of the others. An accuracy of nothing scores minus infinity.
    """
    parts = []
    for metric, share in use_case.measures.items():
        value = row.value(metric)
        if value is None:
            return None
        parts.append(share * sign(metric) * (math.log(value) if value > 0 else -math.inf))
    return math.fsum(parts) if math.inf not in parts else math.inf


def sign(metric: str) -> int:
    """1 for a metric that should be high, -1 for one that should be low."""
    return 1 if METRICS[metric].higher_is_better else -1


def compare_by(use_case: UseCase, base: Row, new: Row) -> Comparison | None:
    """Compare two variants by what a use case wants most; None where they cannot be compared.

    With an objective this is ``compare``, new / base of its values. With weights the ratio is that of the weighted
    geometric means, above 1 where new is better. The parts are taken to be independent, as quality, paired by document,
    and speed, paired by round, are (two metrics of the same documents are not quite): the squares of the distances from
    the value to the ends of their intervals add up on the logarithmic scale, either side on its own (Zou & Donner 2008,
    Statistics in Medicine 27). One part without an interval leaves the whole without.
    """
    if use_case.objective:
        return compare(base, new, use_case.objective)
    value, below, above, count, settled = 0.0, 0.0, 0.0, [], True
    for metric, share in use_case.measures.items():
        part = compare(base, new, metric)
        if part is None:
            return None
        ends = sorted(
            sign(metric) * share * _log(each) for each in (part.ratio.low, part.ratio.high) if each is not None
        )
        middle = sign(metric) * share * _log(part.ratio.value)
        value += middle
        settled = settled and len(ends) == 2 and all(map(math.isfinite, (*ends, middle)))
        if settled:
            below, above = math.hypot(below, middle - ends[0]), math.hypot(above, ends[1] - middle)
        count.append(part.ratio.n)
    low, high = (value - below, value + above) if settled else (None, None)
    ratio = exponential(Estimate(value, low, high, min(count), "parts combined on the logarithmic scale"))
    if ratio.low is None or ratio.high is None or ratio.low <= 1.0 <= ratio.high:
        return Comparison(ratio, None)
    return Comparison(ratio, ratio.low > 1.0)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
