"""Times and memory of two stored runs, which were not measured side by side: no round of one pairs with one of the
other, and what moved in between is known from the control workload alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.records.values import Value
from harness.stats.intervals import Estimate, median
from harness.stats.shift import judge_shift, readings_needed
from harness.stats.verdicts import FALSE_DISCOVERIES, Judgement, Rule

RUN_TO_RUN = 0.05
"""The noise floor of runs taken at different times: medians of repeated runs on an idle machine move by up to this."""
MOVED = 0.10
"""Where the control moved by more than this share, the machine itself moved, and nothing timed is judged."""
NOT_COMPARED = "not compared"
"""The method of a ratio that no verdict may stand on."""
_CONTROL = "control_seconds"
_ONCE = "read once in a run, which gives no interval"


@dataclass(frozen=True)
class Drift:
    """How the machine moved between two runs. ``control`` is the control's median time in new over that in base, None
    where one has none; ``disturbed`` counts the readings that were left out."""

    control: float | None
    disturbed: int = 0

    @property
    def reason(self) -> str:
        """Why nothing timed can be judged, empty where it can."""
        if self.control is None or abs(math.log(self.control)) <= math.log1p(MOVED):
            return ""
        return f"the machine itself moved by {abs(self.control - 1):.0%}"


def drift(pairs: Iterable[tuple[Row, Row]], metrics: Sequence[str]) -> Drift:
    """The drift over the rows of both runs; ``metrics`` are those whose disturbed readings are counted."""
    pairs = list(pairs)
    sides: list[list[float]] = [[], []]
    for rows in pairs:
        if all(_CONTROL in row.metrics for row in rows):
            for side, row in zip(sides, rows, strict=True):
                side += _undisturbed(row.metrics[_CONTROL])
    values = [row.metrics[metric] for rows in pairs for row in rows for metric in metrics if metric in row.metrics]
    disturbed = sum(len(value.disturbed & set(value.rounds)) for value in values)
    positive = all(side and median(side) > 0 for side in sides)
    return Drift(median(sides[1]) / median(sides[0]) if positive else None, disturbed)


def judge_rounds(base: Value, new: Value, metric: str, rule: Rule, moved: Drift, device: str) -> Judgement:
    """The verdict on a timed metric, or on memory, from the rounds of two runs without those that were disturbed.

    What was timed on a CPU is corrected for drift: times of the new run are divided by the control's ratio, rates are
    multiplied by it. A single reading, such as that of memory in a run, gives no interval and so no verdict.
    """
    if METRICS[metric].measure != "memory" and moved.reason:
        return not_compared(base.estimate.value, new.estimate.value, rule, moved.reason)
    before, after = _readings(base), _readings(new)
    if not before or not after:
        return not_compared(base.estimate.value, new.estimate.value, rule, "every round was disturbed")
    factor = _correction(metric, device, moved)
    try:
        judgement = judge_shift(before, [each * factor for each in after], rule, RUN_TO_RUN)
    except ValueError as error:
        return not_compared(base.estimate.value, new.estimate.value, rule, str(error))
    return judgement if base.rounds and new.rounds else replace(judgement, reason=_ONCE)


def not_compared(base: float | None, new: float | None, rule: Rule, reason: str) -> Judgement:
    """Undecided, because the two values must not be held against each other, or one is missing."""
    ratio = new / base if base and new and base > 0 else math.nan
    bound = math.expm1(rule.bound(abs(base or 0.0)))
    return Judgement("undecided", Estimate(ratio, None, None, 0, NOT_COMPARED), bound, reason=reason)


def rounds_that_could_tell(judgement: Judgement, tests: int) -> Judgement:
    """A judgement of stored rounds that could be a false alarm, with the rounds with which it could not."""
    needed = readings_needed(FALSE_DISCOVERIES / max(tests, 1))
    if needed <= judgement.ratio.n:
        return replace(judgement, more_blocks=None)
    return replace(judgement, more_blocks=None, reason=f"{judgement.reason}; {needed} rounds in each run could tell")


def _correction(metric: str, device: str, moved: Drift) -> float:
    about = METRICS[metric]
    if about.measure != "speed" or device != "cpu" or moved.control is None:
        return 1.0
    return moved.control if about.higher_is_better else 1 / moved.control


def _readings(value: Value) -> list[float]:
    return _undisturbed(value) if value.rounds else [value.estimate.value]


def _undisturbed(value: Value) -> list[float]:
    return [reading for number, reading in value.rounds.items() if number not in value.disturbed]
