"""From which change on a metric matters: what a suite says, defaults for the rest, and floors in absolute terms."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.errors import nearest
from harness.records.metrics import METRICS
from harness.stats.verdicts import Rule

DEFAULTS = {"speed": 0.03, "memory": 0.03, "energy": 0.03, "quality": 0.01, "size": 0.0}
"""The fraction from which a change matters, by what a metric measures. Sizes are exact: any change matters."""
OWN_DEFAULTS = {"load_seconds": 0.1, "load_cold_seconds": 0.1}
"""The same of metrics that stray more: a variant is loaded once, but steps are many."""
FLOORS = {
    "time_to_first_token_seconds": 100e-6,
    **dict.fromkeys((f"inter_token_seconds_p{share}" for share in (50, 95, 99)), 10e-6),
    **dict.fromkeys((f"latency_seconds_p{share}" for share in (50, 95, 99)), 10e-6),
    **dict.fromkeys(("load_seconds", "load_cold_seconds", "first_call_seconds"), 5e-3),
    **{name: float(2**20) for name, metric in METRICS.items() if metric.measure == "memory"},
}
"""Changes below this, in the metric's unit, never matter, whatever fraction they are."""
_NO_RESULT = ("control_seconds",)
"""The control tells whether the machine moved; it is no result of a variant."""


def may_be_judged(metric: str) -> bool:
    """Whether a metric has a direction and belongs to a variant, so that it can be better or worse."""
    found = METRICS.get(metric)
    known = found is not None and found.higher_is_better is not None and found.measure in DEFAULTS
    return known and metric not in _NO_RESULT


def check_thresholds(thresholds: Mapping[str, float]) -> dict[str, float]:
    """The same thresholds. Raises ValueError that names the first bad one and says what was expected."""
    for metric, fraction in thresholds.items():
        if not may_be_judged(metric):
            hint = nearest(metric, filter(may_be_judged, METRICS)) if metric not in METRICS else ""
            hint = hint if "did you mean" in hint else ""
            raise ValueError(f"'{metric}' is not a metric that can be judged{hint}; see: harness list metrics")
        if isinstance(fraction, bool) or not isinstance(fraction, int | float):
            raise ValueError(f"{metric}: expected a fraction such as 0.03, got {fraction!r}")
        if not 0 <= fraction < math.inf:
            raise ValueError(f"{metric}: expected a fraction of 0 or more, such as 0.03, got {fraction}")
    return dict(thresholds)


def rule_of(metric: str, thresholds: Mapping[str, float]) -> Rule:
    """When a change of a metric matters. Raises ValueError for a metric that cannot be judged."""
    if not may_be_judged(metric):
        raise ValueError(f"'{metric}' is not a metric that can be judged")
    about = METRICS[metric]
    fraction = thresholds.get(metric, OWN_DEFAULTS.get(metric, DEFAULTS[about.measure]))
    return Rule(fraction, bool(about.higher_is_better), FLOORS.get(metric, 0.0))
