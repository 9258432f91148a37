"""From rows and a use case to a recommendation: who is chosen, why the others are not, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.selection.choice import Choice, Contest
from harness.selection.eligibility import Reason, against_limits, disqualified
from harness.selection.limits import Limit
from harness.selection.resampling import Resampling, resample
from harness.selection.scores import UseCase, compare_by
from harness.selection.sensitivity import (
    LimitSensitivity,
    WeightSensitivity,
    admitted,
    limit_sensitivity,
    limited,
    weight_sensitivity,
)

__all__ = ["Recommendation", "Rival", "Unmeasured", "UseCase", "recommend"]

WhyNone = Literal["", "nobody qualifies", "tokenizers differ"]


@dataclass(frozen=True)
class Rival:
    """A variant that was not chosen, with the reason."""

    row: Row
    reason: Reason


@dataclass(frozen=True)
class Unmeasured:
    """What a recommendation cannot tell: metrics of the use case with the eligible variants that lack them (all of
    them where ``everyone``), and families that it asks for and the run has no candidate of."""

    metrics: dict[str, tuple[Row, ...]]
    families: tuple[str, ...]
    everyone: int

    def by_nobody(self) -> tuple[str, ...]:
        """The metrics that no eligible variant has."""
        return tuple(metric for metric, rows in self.metrics.items() if len(rows) == self.everyone)


@dataclass(frozen=True)
class Recommendation:
    """The choice for a use case, or why there is none.

    ``tied`` are as good at what is wanted most as far as the data can tell, and ``decided_by`` is the last tie breaker
    at which the choice is better than one of them. ``may_miss`` are limits of which it is uncertain whether the choice
    keeps them: nobody surely keeps them all. ``rivals`` are all others of the families asked for: tied ones, then those
    that lost, the nearest first, then those that were not eligible. ``eligible`` are the choice and those that it was
    chosen from, ``front`` those of them on the Pareto front over ``axes``. ``limits`` and ``weights`` say how far these
    can be moved before the choice changes; ``resampling`` how often each variant wins when documents and rounds are
    drawn again.
    """

    use_case: UseCase
    chosen: Row | None
    why_none: WhyNone = ""
    decided_by: str = ""
    tied: tuple[Row, ...] = ()
    may_miss: tuple[Limit, ...] = ()
    rivals: tuple[Rival, ...] = ()
    eligible: tuple[Row, ...] = ()
    axes: tuple[str, ...] = ()
    front: tuple[Row, ...] = ()
    limits: tuple[LimitSensitivity, ...] = ()
    weights: tuple[WeightSensitivity, ...] = ()
    resampling: Resampling = field(default_factory=Resampling)
    unmeasured: Unmeasured = field(default_factory=lambda: Unmeasured({}, (), 0))

    @property
    def recommended(self) -> tuple[Row, ...]:
        """The choice, and those that are as good; nobody where there is no choice."""
        return () if self.chosen is None else (self.chosen, *self.tied)

    @property
    def worse(self) -> tuple[Rival, ...]:
        """The eligible rivals that are worse at what is wanted most, the nearest first: by so much they would have to
        be better to be chosen."""
        return tuple(rival for rival in self.rivals if rival.reason.kind == "worse")


def recommend(rows: Sequence[Row], use_case: UseCase, generator: np.random.Generator | None = None) -> Recommendation:
    """Choose the variant that is best at what a use case wants most among those that are eligible.

    Eligible: measured without a failure, of a family that can do the job, surely within the limits (where nobody is:
    those of which it is uncertain), equivalent to the model that it was made from, and better than the unigram
    baseline. Variants that cannot be told from the best are tied; of these the tie breakers choose in order, and never
    one that another on the Pareto front dominates. ``generator`` draws the resamples; by default its seed is fixed.
    """
    able = [row for row in rows if row.subject.family in use_case.families]
    out = {row.variant: reason for row in able if (reason := disqualified(row, use_case))}
    contest = Contest([row for row in able if row.variant not in out], use_case)
    surely, perhaps = limited(contest, use_case.limits)
    among = admitted(surely, perhaps)
    choice = contest.choose(among)
    eligible = tuple(contest.rows[at] for at in np.flatnonzero(among).tolist())
    unmeasured = _unmeasured(able, eligible, contest, use_case)
    out |= _limited_out(contest, eligible)
    lost = tuple(Rival(row, out[row.variant]) for row in sorted(able, key=_failed_last) if row.variant in out)
    moved = tuple(limit_sensitivity(contest, use_case.limits, at) for at in range(len(use_case.limits)))
    if choice is None:
        why: WhyNone = "tokenizers differ" if eligible else "nobody qualifies"
        return Recommendation(use_case, None, why, rivals=lost, eligible=eligible, limits=moved, unmeasured=unmeasured)
    chosen = contest.rows[choice.chosen]
    dominators = contest.dominance.dominators(among)
    by = {contest.rows[at].variant: contest.rows[other].variant for at, other in dominators.items()}
    complete = [row for row in eligible if all(axis in row.metrics for axis in contest.axes)]
    numbers = [choice.chosen, *choice.tied]
    return Recommendation(
        use_case,
        chosen,
        decided_by=max(choice.tied.values(), key=["", *use_case.tie_breakers].index, default=""),
        tied=tuple(contest.rows[at] for at in choice.tied),
        may_miss=() if surely.any() else _uncertain_limits(chosen, use_case),
        rivals=(*_rivals(contest, choice, eligible, by), *lost),
        eligible=eligible,
        axes=contest.axes,
        front=tuple(row for row in complete if row.variant not in by),
        limits=moved,
        weights=weight_sensitivity(contest, among, numbers),
        resampling=resample(contest.like(choice.chosen), use_case, use_case.limits, generator=generator),
        unmeasured=unmeasured,
    )


def _limited_out(contest: Contest, eligible: Sequence[Row]) -> dict[str, Reason]:
    """The reasons of those that compete and whose limits keep them from being chosen."""
    found = {}
    names = {row.variant for row in eligible}
    for row in contest.rows:
        standing, limit = against_limits(row, contest.use_case)
        if row.variant not in names and limit is not None:
            found[row.variant] = Reason("missed" if standing == "missed" else "uncertain", limit.metric, limit)
    return found


def _rivals(contest: Contest, choice: Choice, eligible: Sequence[Row], dominated_by: dict[str, str]) -> list[Rival]:
    """The eligible ones that were not chosen: tied ones in the order of the suite, then by how near they came."""
    chosen, tied = contest.rows[choice.chosen], {contest.rows[at].variant: by for at, by in choice.tied.items()}
    found: list[tuple[tuple[bool, float], Rival]] = []
    scores = {row.variant: float(value) for row, value in zip(contest.rows, contest.scores, strict=True)}
    for row in eligible:
        if row is chosen:
            continue
        comparison = compare_by(contest.use_case, row, chosen)
        by = dominated_by.get(row.variant, "")
        if row.variant in tied:
            reason = Reason("tied", tied[row.variant], comparison=comparison, dominated_by=by)
            found.append(((False, 0.0), Rival(row, reason)))
        else:
            reason = Reason("worse" if comparison else "incomparable", comparison=comparison, dominated_by=by)
            found.append(((True, -scores[row.variant]), Rival(row, reason)))
    return [rival for _, rival in sorted(found, key=lambda pair: pair[0])]


def _uncertain_limits(row: Row, use_case: UseCase) -> tuple[Limit, ...]:
    return tuple(limit for limit in use_case.limits if limit.standing(row.metrics[limit.metric]) == "uncertain")


def _unmeasured(able: Sequence[Row], eligible: Sequence[Row], contest: Contest, use_case: UseCase) -> Unmeasured:
    """Metrics are those that the use case names and its axes; without anybody eligible, none are told."""
    wanted = dict.fromkeys([*use_case.measures, *use_case.tie_breakers, *contest.axes])
    lacking = {
        metric: tuple(row for row in eligible if metric not in row.metrics)
        for metric in wanted
        if METRICS[metric].measure != "limit"
    }
    families = tuple(family for family in use_case.families if all(row.subject.family != family for row in able))
    return Unmeasured({metric: rows for metric, rows in lacking.items() if rows}, families, len(eligible))


def _failed_last(row: Row) -> bool:
    return row.status != "ok"
