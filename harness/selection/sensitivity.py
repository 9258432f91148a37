"""How far a limit, a weight or a rival must move before the choice changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records.rows import Row
from harness.selection.choice import Contest, Mask
from harness.selection.limits import Limit, reach
from harness.selection.scores import UseCase, sign

_LEAST = 1e-6
"""A factor of a weight that is not told any more, nor is its inverse."""


@dataclass(frozen=True)
class Bound:
    """From where on another choice is made: with an upper limit at ``bound`` or above (``looser``) or below it
    (tighter), with a lower one the other way round. ``chosen`` is None where nobody would qualify or be comparable."""

    bound: float
    chosen: Row | None


@dataclass(frozen=True)
class LimitSensitivity:
    """How far a limit can be moved. None: however far, the choice stays."""

    limit: Limit
    tighter: Bound | None
    looser: Bound | None


@dataclass(frozen=True)
class Factor:
    """The factor that a weight must be multiplied by, beyond which a variant scores best."""

    factor: float
    best: Row


@dataclass(frozen=True)
class WeightSensitivity:
    """How far a weight can be moved before a variant that is not recommended scores best. None: by up to a million
    times, none does."""

    metric: str
    less: Factor | None
    more: Factor | None


def limited(contest: Contest, limits: Sequence[Limit]) -> tuple[Mask, Mask]:
    """Which variants of a contest surely keep all limits, and which may: those that surely do, and those of which it is
    uncertain."""
    surely, perhaps = contest.everyone(), contest.everyone()
    for limit in limits:
        low, high = _reaches(contest, limit)
        surely &= high <= _sided(limit)
        perhaps &= low <= _sided(limit)
    return surely, perhaps


def admitted(surely: Mask, perhaps: Mask) -> Mask:
    """Who is chosen from: those that surely keep the limits, and where there are none those that may."""
    return surely if surely.any() else perhaps


def limit_sensitivity(contest: Contest, limits: Sequence[Limit], at: int) -> LimitSensitivity:
    """How far limit number ``at`` can be moved before the choice changes, the other limits staying.

    Who keeps a limit changes only at the ends of the variants' intervals, so the choice is made anew at each of them,
    outwards from where the limit is.
    """
    limit = limits[at]
    low, high = _reaches(contest, limit)
    others = limited(contest, [each for number, each in enumerate(limits) if number != at])

    def chosen(bound: float) -> int | None:
        choice = contest.choose(admitted(others[0] & (high <= bound), others[1] & (low <= bound)))
        return None if choice is None else choice.chosen

    ends = np.unique(np.concatenate([low[others[1]], high[others[1]]]))
    bound = _sided(limit)
    now = chosen(bound)
    tighter, looser = None, None
    for end in ends[ends <= bound][::-1].tolist():
        if (other := chosen(math.nextafter(end, -math.inf))) != now:
            tighter = _bound(contest, limit, end, other)
            break
    for end in ends[ends > bound].tolist():
        if (other := chosen(end)) != now:
            looser = _bound(contest, limit, end, other)
            break
    return LimitSensitivity(limit, tighter, looser)


def weight_sensitivity(contest: Contest, among: Mask, recommended: Sequence[int]) -> tuple[WeightSensitivity, ...]:
    """For each weight of a use case, how far it can be moved before one of ``among`` that is not ``recommended`` (the
    choice and those tied with it) scores higher than all that are.

    Scores are linear in a weight: what one that is not recommended is ahead by is a + b f at the factor f, and it wins
    where that is positive against each recommended one. Nothing to tell for a use case with an objective.
    """
    if not contest.use_case.weights:
        return ()
    outside = [at for at in np.flatnonzero(among).tolist() if at not in recommended]
    parts = _parts(contest.rows, contest.use_case)
    totals = parts.sum(axis=1)
    found = []
    for column, metric in enumerate(contest.use_case.measures):
        less: tuple[float, int] | None = None
        more: tuple[float, int] | None = None
        for rival in outside:
            low, high = _wins_between(parts[:, column], totals, rival, recommended)
            if low < high and 1 <= low <= 1 / _LEAST and (more is None or low < more[0]):
                more = low, rival
            if low < high and _LEAST <= high <= 1 and (less is None or high > less[0]):
                less = high, rival
        found.append(WeightSensitivity(metric, _factor(contest, less), _factor(contest, more)))
    return tuple(found)


def _wins_between(
    part: NDArray[np.float64], totals: NDArray[np.float64], rival: int, recommended: Sequence[int]
) -> tuple[float, float]:
    """The factors between which a rival scores higher than all that are recommended."""
    low, high = 0.0, math.inf
    for other in recommended:
        if not np.isfinite(totals[[rival, other]]).all():  # an accuracy of nothing, which no weight makes up for
            return math.inf, math.inf
        slope = part[rival] - part[other]
        start = (totals[rival] - totals[other]) - slope
        if slope > 0:
            low = max(low, float(-start / slope))
        elif slope < 0:
            high = min(high, float(-start / slope))
        elif start <= 0:
            return math.inf, math.inf
    return low, high


def _factor(contest: Contest, found: tuple[float, int] | None) -> Factor | None:
    return None if found is None else Factor(found[0], contest.rows[found[1]])


def _parts(rows: Sequence[Row], use_case: UseCase) -> NDArray[np.float64]:
    """What each metric adds to the score: rows × metrics."""
    table = [
        [share * sign(metric) * _log(row.value(metric)) for metric, share in use_case.measures.items()] for row in rows
    ]
    return np.array(table, dtype=np.float64)


def _log(value: float | None) -> float:
    return math.log(value) if value is not None and value > 0 else -math.inf


def _sided(limit: Limit) -> float:
    """The bound as an upper one: of a lower limit it is the negative, as its values are."""
    return limit.bound if limit.comparison == "<=" else -limit.bound


def _reaches(contest: Contest, limit: Limit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends of all variants' values, for an upper limit; for a lower one of their negatives."""
    found = [reach(row.metrics[limit.metric], limit.metric) for row in contest.rows]
    low, high = np.array(found, dtype=np.float64).reshape(-1, 2).T
    return (low, high) if limit.comparison == "<=" else (-high, -low)


def _bound(contest: Contest, limit: Limit, end: float, chosen: int | None) -> Bound:
    return Bound(end if limit.comparison == "<=" else -end, None if chosen is None else contest.rows[chosen])
