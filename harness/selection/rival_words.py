"""Why each rival lost, a line a variant."""

from __future__ import annotations

from collections.abc import Sequence

from harness.language.markup import code, plain
from harness.language.say import retell, say
from harness.records.rows import Row
from harness.records.units import quantity
from harness.selection.limits import Limit, stands_alone
from harness.selection.phrases import has_interval, shown, shown_limit, shown_measures, times, title, worse_sentence
from harness.selection.recommend import Recommendation, Rival

WORTH_A_WORD = 0.01
"""A share of resamples below this is not told."""


def rivals(recommendation: Recommendation, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """(variant, why it was not chosen) of all that the families of the use case have among ``rows`` but the choice. The
    reason is inline Markdown, the name is as it is."""
    known = {row.variant for row in rows}
    return [
        (rival.row.variant, " ".join(_sentences(rival, recommendation)))
        for rival in recommendation.rivals
        if rival.row.variant in known
    ]


def _sentences(rival: Rival, recommendation: Recommendation) -> list[str]:
    row, reason = rival.row, rival.reason
    if reason.kind == "failed":
        return [say("{status}: {reason}", status=say(row.status), reason=plain(retell(row.reason)))]
    if reason.kind == "unmeasured" and reason.limit is not None:
        metric, limit = title(reason.metric), shown_limit(reason.limit)
        return [say("Its {metric} was not measured, so {limit} cannot be checked.", metric=metric, limit=limit)]
    if reason.kind == "unmeasured":
        return [say("Its {metric} was not measured.", metric=title(reason.metric))]
    if reason.kind == "no better than word frequencies":
        return [say("It is no better than word frequencies (the unigram baseline).")]
    if reason.kind == "not equivalent":
        return [say("It is not the model that it was made from: {reason}.", reason=plain(retell(reason.detail)))]
    if reason.limit is not None:
        return _limit_sentences(row, reason.kind, reason.limit)
    return [*_lost(rival, recommendation), *_dominated(rival, recommendation), *_resampled(row, recommendation)]


def _limit_sentences(row: Row, kind: str, limit: Limit) -> list[str]:
    places = {"limit": shown_limit(limit), "value": shown(row, limit.metric)}
    if kind == "uncertain":
        return [say("It is uncertain whether it keeps {limit}: {value}.", **places)]
    if stands_alone(row.metrics[limit.metric]):
        return [say("It misses {limit} by its value, of too few readings for an interval: {value}.", **places)]
    return [say("It misses {limit}: {value}.", **places)]


def _lost(rival: Rival, recommendation: Recommendation) -> list[str]:
    """A sentence on what is wanted most, or two."""
    row, comparison, use_case = rival.row, rival.reason.comparison, recommendation.use_case
    chosen = recommendation.chosen
    if comparison is None or chosen is None:
        return [say("At what is wanted most it cannot be compared with the choice.")]
    if rival.reason.kind == "worse":
        few = [] if has_interval(comparison) else [say("There are too few readings for an interval.")]
        return [worse_sentence(row, use_case, comparison), *few]
    value, ratio = shown_measures(row, use_case), times(comparison.ratio)
    found = [say("As good: {value}, and the choice is at {ratio} times that.", value=value, ratio=ratio)]
    decided = rival.reason.metric
    if decided and decided in row.metrics and decided in chosen.metrics:
        places = {"metric": title(decided), "its": shown(row, decided), "chosen": shown(chosen, decided)}
        found.append(say("Its {metric} is {its}, that of the choice {chosen}.", **places))
    return found


def _dominated(rival: Rival, recommendation: Recommendation) -> list[str]:
    by = rival.reason.dominated_by
    if not by:
        return []
    metrics = ", ".join(title(metric) for metric in recommendation.axes)
    if recommendation.chosen is not None and by == recommendation.chosen.variant:
        return [say("Dominated by the choice: no worse at {metrics}, and surely better at one.", metrics=metrics)]
    places = {"other": code(by), "metrics": metrics}
    return [say("Dominated by {other}: no worse at {metrics}, and surely better at one.", **places)]


def _resampled(row: Row, recommendation: Recommendation) -> list[str]:
    share = recommendation.resampling.shares.get(row.variant, 0.0)
    if share < WORTH_A_WORD:
        return []
    return [say("It is the best in {share} of the resamples.", share=quantity(share, "fraction"))]
