"""A recommendation in words, for a reader in a hurry: who, by how much, what is given up, how sure, what is unknown."""

from __future__ import annotations

from collections.abc import Sequence

from harness.language.markup import code
from harness.language.say import say
from harness.records.metrics import ACROSS_FAMILIES, BOTH_SIDES, METRICS, PERPLEXITY
from harness.records.rows import Row
from harness.records.units import quantity
from harness.selection.comparison import compare, ratio_by_document, surely_better
from harness.selection.limits import stands_alone
from harness.selection.phrases import (
    has_interval,
    names,
    next_sentence,
    shown,
    shown_limit,
    shown_measures,
    shown_weights,
    title,
)
from harness.selection.recommend import Recommendation, Rival, UseCase, recommend
from harness.selection.rival_words import rivals
from harness.selection.scores import compare_by, score, sign
from harness.selection.sureness_words import limit_sentences, resampling_sentence, way_out_sentences, weight_sentences
from harness.selection.thresholds import DEFAULTS

__all__ = ["not_measured", "paragraph", "paragraphs", "rivals"]

WORTH_SAYING = 0.05
"""A rival that is better by less than this share is not held against the choice."""
_TRADES = (
    ("bits_per_byte", *(name for name in PERPLEXITY.values() if name != "perplexity"), *ACROSS_FAMILIES),
    ("decode_tokens_per_second", "encode_tokens_per_second"),
    ("peak_memory_bytes", "weights_bytes"),
)
"""What may be given up: quality, speed, memory. Of each, the first at which a rival is clearly better is told."""


def paragraph(recommendation: Recommendation, rows: Sequence[Row]) -> str:
    """One paragraph on a use case, inline Markdown. ``rows`` are those that it was made from."""
    if recommendation.chosen is None:
        sentences = [_no_recommendation(recommendation), *way_out_sentences(recommendation)]
    else:
        sentences = [
            _use(recommendation, recommendation.chosen),
            *_uncertain(recommendation),
            _value(recommendation, recommendation.chosen),
            *_best_of_tie(recommendation),
            *_weak(recommendation.chosen),
            *_next(recommendation),
            *_given_up(recommendation, recommendation.chosen),
            *resampling_sentence(recommendation),
            *limit_sentences(recommendation),
            *weight_sentences(recommendation),
        ]
    return " ".join([*sentences, *not_measured(recommendation), *_not_considered(recommendation)])


def paragraphs(rows: Sequence[Row], use_cases: Sequence[UseCase]) -> list[tuple[str, str]]:
    """(title, paragraph) a use case; the title as it is in the suite."""
    return [(use_case.title, paragraph(recommend(rows, use_case), rows)) for use_case in use_cases]


def not_measured(recommendation: Recommendation) -> list[str]:
    """Sentences on what a recommendation stands without: metrics of the use case, and families."""
    unmeasured = recommendation.unmeasured
    nobody = unmeasured.by_nobody()
    found = []
    if nobody:
        found.append(say("What was not measured: {metrics}.", metrics=", ".join(map(title, nobody))))
    for metric, lacking in unmeasured.metrics.items():
        if metric not in nobody:
            found.append(
                say("What was not measured of {variants}: {metric}.", metric=title(metric), variants=names(lacking))
            )
    if unmeasured.families:
        families = ", ".join(map(say, unmeasured.families))
        found.append(say("The run has no candidate of these families: {families}.", families=families))
    return found


def _no_recommendation(recommendation: Recommendation) -> str:
    use_case = recommendation.use_case
    if recommendation.why_none == "tokenizers differ":
        metrics = ", ".join(map(title, use_case.measures))
        return say(
            "No recommendation: {metrics} cannot be compared between models with different tokenizers.", metrics=metrics
        )
    families = ", ".join(map(say, use_case.families))
    return say("No recommendation: no variant qualifies (families: {families}).", families=families)


def _use(recommendation: Recommendation, chosen: Row) -> str:
    variant, others = code(chosen.variant), names(recommendation.tied)
    metric = recommendation.decided_by
    if not recommendation.tied:
        return say("Use **{variant}**.", variant=variant)
    if not metric:
        return say("Use **{variant}** (or {others}, which cannot be told from it).", variant=variant, others=others)
    places = {"variant": variant, "others": others, "metric": title(metric)}
    values = [row.value(metric) for row in recommendation.recommended]
    best = max((sign(metric) * value for value in values if value is not None), default=None)
    if best != sign(metric) * (chosen.value(metric) or 0.0):
        return say("Use **{variant}** (or {others}, which cannot be told from it; {metric} decided).", **places)
    if METRICS[metric].higher_is_better:
        return say(
            "Use **{variant}** (or {others}, which cannot be told from it; of these it has the highest {metric}).",
            **places,
        )
    return say(
        "Use **{variant}** (or {others}, which cannot be told from it; of these it has the lowest {metric}).", **places
    )


def _uncertain(recommendation: Recommendation) -> list[str]:
    if not recommendation.may_miss:
        return []
    limits = ", ".join(map(shown_limit, recommendation.may_miss))
    return [say("No variant surely keeps all limits; of this one it is uncertain for {limits}.", limits=limits)]


def _value(recommendation: Recommendation, chosen: Row) -> str:
    use_case, count = recommendation.use_case, len(recommendation.eligible)
    value = shown_measures(chosen, use_case)
    if use_case.weights:
        places = {"value": value, "weights": shown_weights(use_case), "count": count}
        if recommendation.tied or count == 1:
            return say("Weighed are {weights}; it has {value}, and {count} variants qualify.", **places)
        return say("Weighed are {weights}: it is the best of the {count} that qualify, with {value}.", **places)
    places = {"metric": title(use_case.objective), "value": value, "count": count}
    if count == 1:
        return say("It is the only one that qualifies; its {metric} is {value}.", **places)
    if recommendation.tied:
        return say("Its {metric} is {value}; {count} variants qualify.", **places)
    if METRICS[use_case.objective].higher_is_better:
        return say("It has the highest {metric} of the {count} that qualify: {value}.", **places)
    return say("It has the lowest {metric} of the {count} that qualify: {value}.", **places)


def _best_of_tie(recommendation: Recommendation) -> list[str]:
    """The one of a tie that scores best, where a tie breaker chose another: a reader may want it all the same."""
    best, chosen, use_case = _leader(recommendation), recommendation.chosen, recommendation.use_case
    ahead = None if chosen is None or best is chosen else compare_by(use_case, chosen, best)
    if ahead is None or abs(ahead.ratio.value - 1) < _least(use_case):
        return []
    value = shown_measures(best, recommendation.use_case)
    places = {"variant": code(best.variant), "value": value}
    share = recommendation.resampling.shares.get(best.variant)
    if share is None:
        return [say("By value alone {variant} is ahead, with {value}.", **places)]
    words = "By value alone {variant} is ahead, with {value}; it is the best in {share} of the resamples."
    return [say(words, share=quantity(share, "fraction"), **places)]


def _least(use_case: UseCase) -> float:
    """The share from which a difference in what is wanted most matters; 0 for weighed metrics."""
    return DEFAULTS.get(METRICS[use_case.objective].measure, 0.0) if use_case.objective else 0.0


def _leader(recommendation: Recommendation) -> Row:
    """The recommended one that scores best."""
    return max(recommendation.recommended, key=lambda row: score(row, recommendation.use_case) or 0.0)


def _weak(chosen: Row) -> list[str]:
    """At which questions the choice is no better than word frequencies, so that nobody takes the best of a weak field
    for a good model."""
    found = []
    for metric in (*ACROSS_FAMILIES, *BOTH_SIDES):
        value, floor = chosen.metrics.get(metric), chosen.metrics.get(f"unigram_{metric}")
        ratio = ratio_by_document(floor, value, metric) if value is not None and floor is not None else None
        if ratio is not None and not surely_better(ratio, metric):
            found.append(title(metric))
    words = "Beware: it is not surely better than word frequencies at {metrics}."
    return [say(words, metrics=say("; ").join(found))] if found else []


def _next(recommendation: Recommendation) -> list[str]:
    if not recommendation.worse:
        return []
    rival, use_case = recommendation.worse[0], recommendation.use_case
    comparison = rival.reason.comparison
    if comparison is None:
        return []
    best = _leader(recommendation)
    if recommendation.tied and has_interval(comparison) and not comparison.better and best is not recommendation.chosen:
        places = {"variant": code(rival.row.variant), "value": shown_measures(rival.row, use_case)}
        return [say("Next is {variant} with {value}, surely behind {best} alone.", best=code(best.variant), **places)]
    found = [next_sentence(rival.row, use_case, comparison)]
    if not has_interval(comparison):
        return [*found, say("There are too few readings for an interval.")]
    least = _least(use_case)
    low, high = comparison.ratio.low, comparison.ratio.high
    if low is not None and high is not None and 1 - least < low and high < 1 + least:
        found.append(say("That is less than {least}, which hardly matters.", least=quantity(least, "fraction")))
    return found


def _given_up(recommendation: Recommendation, chosen: Row) -> list[str]:
    """Of quality, speed and memory: the best eligible rival, where it is clearly better."""
    if len(recommendation.eligible) < 2:
        return []
    costs = [cost for trade in _TRADES if (cost := _cost(recommendation, chosen, trade))]
    if not costs:
        return [say("None of the others that qualify is surely better at anything else that was measured.")]
    return [say("Given up: {costs}.", costs=say("; ").join(costs))]


def _cost(recommendation: Recommendation, chosen: Row, metrics: Sequence[str]) -> str:
    for metric in metrics:
        mine = chosen.value(metric)
        if mine is None or metric in recommendation.use_case.measures:
            continue
        others = [(value, row) for row in recommendation.eligible if (value := row.value(metric)) is not None]
        # from the best value on, so that the first that is surely better is the best of all that are
        for value, row in sorted(others, key=lambda pair: -sign(metric) * pair[0]):
            if sign(metric) * (value - mine) <= 0:
                break
            comparison = compare(chosen, row, metric)
            if comparison is not None and comparison.better and abs(comparison.ratio.value - 1) > WORTH_SAYING:
                return say(
                    "{metric} ({mine} against {theirs} of {variant})",
                    metric=title(metric),
                    mine=shown(chosen, metric),
                    theirs=shown(row, metric),
                    variant=code(row.variant),
                )
    return ""


def _not_considered(recommendation: Recommendation) -> list[str]:
    """Who was not eligible, as numbers by reason: the names are in the table of rivals."""
    kinds = [rival.reason.kind for rival in recommendation.rivals]
    few = sum(map(_missed_alone, recommendation.rivals))
    missed, uncertain = kinds.count("missed") - few, kinds.count("uncertain")
    other, useless = kinds.count("not equivalent"), kinds.count("no better than word frequencies")
    unmeasured, failed = kinds.count("unmeasured"), kinds.count("failed")
    tally = [
        (missed, say("{count} beyond a limit", count=missed)),
        (few, say("{count} beyond a limit by too few readings for an interval", count=few)),
        (uncertain, say("{count} that may be beyond a limit", count=uncertain)),
        (other, say("{count} not equivalent to the model that they were made from", count=other)),
        (useless, say("{count} no better than word frequencies", count=useless)),
        (unmeasured, say("{count} not measured in full", count=unmeasured)),
        (failed, say("{count} failed, skipped or unfinished", count=failed)),
    ]
    parts = [words for count, words in tally if count]
    return [say("Not considered: {reasons}.", reasons=", ".join(parts))] if parts else []


def _missed_alone(rival: Rival) -> bool:
    limit = rival.reason.limit
    return rival.reason.kind == "missed" and limit is not None and stands_alone(rival.row.metrics[limit.metric])
