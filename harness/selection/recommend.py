"""From rows and a use case to a recommendation: who is eligible, who is best, and who is as good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.records.metrics import METRICS, PERPLEXITY
from harness.records.rows import Row
from harness.selection.comparison import TOKENIZER_BOUND, Comparison, compare
from harness.selection.equivalence import not_equivalent
from harness.selection.limits import Limit


@dataclass(frozen=True)
class UseCase:
    """What somebody needs; see docs/suites.md."""

    title: str
    families: tuple[str, ...]
    objective: str
    tie_breakers: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class Recommendation:
    """The choice for a use case. ``tied`` are as good at the objective as far as the data can tell, ``rivals`` are
    those that lost with the choice's advantage over them, ``excluded`` were not eligible, with the reason."""

    use_case: UseCase
    chosen: Row | None
    why_none: str = ""
    decided_by: str = ""
    tied: tuple[Row, ...] = ()
    rivals: tuple[tuple[Row, Comparison], ...] = ()
    excluded: dict[str, str] = field(default_factory=dict)


def recommend(rows: Sequence[Row], use_case: UseCase) -> Recommendation:
    """Choose the variant with the best objective among those that are eligible.

    Eligible: measured without a failure, of a family that can do the job, within the limits, equivalent to the model
    that it was made from, and better than the unigram baseline. Variants that cannot be told from the best are tied,
    and the tie breakers choose among them in order.
    """
    able = [row for row in rows if row.subject.family in use_case.families]
    excluded = {row.variant: reason for row in able if (reason := _ineligible(row, use_case))}
    eligible = [row for row in able if row.variant not in excluded]
    if not eligible:
        reason = "no variant of " + " or ".join(use_case.families) + " models qualifies"
        return Recommendation(use_case, None, reason, excluded=excluded)
    objective = use_case.objective
    if objective in TOKENIZER_BOUND and len({row.subject.tokenizer_hash for row in eligible}) > 1:
        reason = f"{METRICS[objective].title} cannot be compared between models with different tokenizers"
        return Recommendation(use_case, None, reason, excluded=excluded)
    best = _best(eligible, objective)
    against = {row.variant: compare(row, best, objective) for row in eligible if row is not best}
    tied = [row for row in eligible if row is not best and _is_tied(against[row.variant])]
    chosen, decided_by = _break_tie([best, *tied], use_case.tie_breakers) if tied else (best, "")
    rivals = []
    for row in eligible:
        comparison = compare(row, chosen, objective)
        if row is not chosen and row not in tied and row is not best and comparison is not None:
            rivals.append((row, comparison))
    also = tuple(row for row in (best, *tied) if row is not chosen)
    return Recommendation(use_case, chosen, "", decided_by, also, tuple(rivals), excluded)


def _ineligible(row: Row, use_case: UseCase) -> str | None:
    if row.status != "ok":
        return f"{row.status}: {row.reason}"
    if row.value(use_case.objective) is None:
        return f"{use_case.objective} was not measured"
    for limit in use_case.limits:
        value = row.value(limit.metric)
        if value is None:
            return f"{limit.metric} was not measured, so the limit {limit} cannot be checked"
        if not limit.met_by(value):
            return f"misses the limit {limit}"
    for quality in PERPLEXITY.values():
        value, floor = row.value(quality), row.value("unigram_perplexity")
        if value is not None and floor is not None and value >= floor:
            return "is no better than word frequencies (the unigram baseline)"
    return not_equivalent(row)


def _best(rows: Sequence[Row], metric: str) -> Row:
    """The first of the best: among equal values the order of the suite decides."""
    sign = -1 if METRICS[metric].higher_is_better else 1
    return min(rows, key=lambda row: sign * (row.value(metric) or 0.0))


def _is_tied(comparison: Comparison | None) -> bool:
    """Not told apart by the interval; without an interval (too few rounds) the values decide."""
    if comparison is None:
        return False
    if comparison.ratio.low is None:
        return comparison.ratio.value == 1.0
    return comparison.better is None


def _break_tie(tied: list[Row], tie_breakers: Sequence[str]) -> tuple[Row, str]:
    """Hand those that are still tied from one tie breaker to the next; also the last metric that told some apart."""
    decided_by = ""
    for metric in tie_breakers:
        measured = [row for row in tied if row.value(metric) is not None]
        if not measured or (metric in TOKENIZER_BOUND and len({r.subject.tokenizer_hash for r in measured}) > 1):
            continue
        winner = _best(measured, metric)
        left = [row for row in measured if row is winner or _is_tied(compare(row, winner, metric))]
        if len(left) < len(measured):
            tied, decided_by = left, metric
        if len(tied) == 1:
            break
    return tied[0], decided_by
