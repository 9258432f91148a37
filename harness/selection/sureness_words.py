"""How sure a recommendation is, in words: resamples, and how far limits and weights are from changing it."""

from __future__ import annotations

from harness.language.markup import code
from harness.language.say import digits, say
from harness.records.metrics import METRICS
from harness.records.units import quantity, significant
from harness.selection.limits import stands_alone
from harness.selection.phrases import shown, shown_bound, shown_limit, title
from harness.selection.recommend import Recommendation
from harness.selection.sensitivity import Bound, LimitSensitivity
from harness.stats.resampling import FEWEST

SURE = 0.95
"""From this share of resamples on, nobody else is named."""
_NAMED = 2
_WORTH_NAMING = 0.01


def resampling_sentence(recommendation: Recommendation) -> list[str]:
    """In which share of resamples the recommended ones win, and who does in the others; nothing where only one variant
    competes."""
    found = recommendation.resampling
    if len(recommendation.eligible) < 2 and set(found.shares) <= {row.variant for row in recommendation.recommended}:
        return []
    if found.few is not None:
        unit, count = found.few
        few = {"fewest": FEWEST, "count": count}
        if unit == "rounds":
            text = say(
                "Resampling cannot tell how sure that is: it takes {fewest} rounds, and all variants share {count}.",
                **few,
            )
        else:
            text = say(
                "Resampling cannot tell how sure that is: it takes {fewest} documents, and all variants share {count}.",
                **few,
            )
        return [text]
    if not found.shares and not found.replicates:
        return _fixed(found.fixed)
    share, others = found.share(recommendation.recommended), _others(recommendation)
    places = {"replicates": digits(f"{found.replicates:,}"), "units": _units(found.drawn), "others": others,
              "share": quantity(share, "fraction")}  # fmt: skip
    shared = bool(recommendation.tied)
    if others and shared:
        return [
            say(
                "One of these is the best in {share} of {replicates} resamples of {units}; otherwise {others}.",
                **places,
            )
        ]
    if others:
        return [say("It is the best in {share} of {replicates} resamples of {units}; otherwise {others}.", **places)]
    if shared:
        return [say("One of these is the best in {share} of {replicates} resamples of {units}.", **places)]
    return [say("It is the best in {share} of {replicates} resamples of {units}.", **places)]


def limit_sentences(recommendation: Recommendation) -> list[str]:
    """For each limit: with which value it is kept, and how far it would have to move for another choice."""
    chosen = recommendation.chosen
    if chosen is None:
        return []
    found = []
    for each in recommendation.limits:
        places = {"limit": shown_limit(each.limit), "value": shown(chosen, each.limit.metric)}
        if each.limit in recommendation.may_miss:
            found.append(say("{limit} may be missed: {value}.", **places))
        elif stands_alone(chosen.metrics[each.limit.metric]):
            found.append(say("{limit} is kept with {value}, of too few readings for an interval.", **places))
        else:
            found.append(say("{limit} is kept with {value}.", **places))
        found += _moved(each)
    return [_capital(sentence) for sentence in found]


def way_out_sentences(recommendation: Recommendation) -> list[str]:
    """Where nobody keeps the limits: how far one would have to be moved for somebody to be chosen."""
    return [
        say(
            "With a limit of {bound} on {metric} the choice would be {variant}.",
            bound=shown_bound(each.limit, each.looser.bound),
            metric=title(each.limit.metric),
            variant=code(each.looser.chosen.variant),
        )
        for each in recommendation.limits
        if each.looser is not None and each.looser.chosen is not None
    ]


def weight_sentences(recommendation: Recommendation) -> list[str]:
    """By which factors each weight would have to be multiplied for another variant to score best."""
    found = []
    for each in recommendation.weights:
        for factor in (each.less, each.more):
            if factor is None:
                continue
            places = {"variant": code(factor.best.variant), "metric": title(each.metric),
                      "factor": significant(factor.factor)}  # fmt: skip
            if factor is each.less:
                found.append(say("{variant} would score best with less than {factor} times the weight on {metric}.",
                                 **places))  # fmt: skip
            else:
                found.append(say("{variant} would score best with more than {factor} times the weight on {metric}.",
                                 **places))  # fmt: skip
    if recommendation.use_case.weights and not found and len(recommendation.eligible) > len(recommendation.recommended):
        found.append(say("No change of a single weight makes another variant score best."))
    return found


def _others(recommendation: Recommendation) -> str:
    """Those that win most often in place of the recommended ones, where these are not sure to."""
    found = recommendation.resampling
    if found.share(recommendation.recommended) >= SURE:
        return ""
    own = {row.variant for row in recommendation.recommended}
    others = [(name, share) for name, share in found.shares.items() if name not in own and share >= _WORTH_NAMING]
    named = [
        say("{variant} ({share})", variant=code(name), share=quantity(share, "fraction"))
        for name, share in others[:_NAMED]
    ]
    return ", ".join(named)


def _fixed(metrics: tuple[str, ...]) -> list[str]:
    if any(METRICS[metric].measure == "memory" for metric in metrics):
        return [say("Memory was read once, which is taken to be good to 5 %; there is nothing to resample.")]
    return [say("Sizes are exact: there is nothing to resample.")] if metrics else []


def _units(drawn: object) -> str:
    keys = set(drawn) if isinstance(drawn, dict) else set()
    if keys == {"documents", "rounds"}:
        return say("documents and rounds")
    return say("documents") if "documents" in keys else say("rounds")


def _moved(each: LimitSensitivity) -> list[str]:
    found = []
    upper = each.limit.comparison == "<="
    for bound, tighter in ((each.tighter, True), (each.looser, False)):
        if bound is not None:
            found.append(_bound_sentence(each, bound, tighter, upper))
    return found


def _bound_sentence(each: LimitSensitivity, bound: Bound, tighter: bool, upper: bool) -> str:
    at = shown_bound(each.limit, bound.bound)
    if bound.chosen is None:
        return _nobody_sentence(at, tighter, upper)
    variant = code(bound.chosen.variant)
    if tighter and upper:
        return say("With a limit below {bound} the choice would be {variant}.", bound=at, variant=variant)
    if tighter:
        return say("With a limit above {bound} the choice would be {variant}.", bound=at, variant=variant)
    if upper:
        return say("With a limit of {bound} or more the choice would be {variant}.", bound=at, variant=variant)
    return say("With a limit of {bound} or less the choice would be {variant}.", bound=at, variant=variant)


def _nobody_sentence(at: str, tighter: bool, upper: bool) -> str:
    if tighter and upper:
        return say("With a limit below {bound} no choice could be made.", bound=at)
    if tighter:
        return say("With a limit above {bound} no choice could be made.", bound=at)
    if upper:
        return say("With a limit of {bound} or more no choice could be made.", bound=at)
    return say("With a limit of {bound} or less no choice could be made.", bound=at)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
