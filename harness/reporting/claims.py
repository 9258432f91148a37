"""The table of claims: what was said, what was measured, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.language.markup import code, plain
from harness.language.say import digits, retell, say
from harness.records.metrics import METRICS
from harness.records.units import number_and_unit, quantity, scale_of, with_interval
from harness.reporting.table import NOTHING, Table
from harness.selection.claims import Claim, Judged


def claims_table(judged: Sequence[Judged]) -> Table | None:
    """A line a verdict, in the order of the claims; then, a line a statement, what was not measured. None where there
    are no claims."""
    told = [each for each in judged if each.verdict != "not measured"]
    untold: dict[tuple[str, str], list[Judged]] = {}
    for each in judged:
        if each.verdict == "not measured":
            untold.setdefault((each.claim.text, each.claim.source), []).append(each)
    lines = [_line([each]) for each in told] + [_line(each) for each in untold.values()]
    headers = (say("claim"), say("source"), say("holds if"), say("judged on"), say("measured"), say("verdict"))
    return Table(headers, tuple(lines), left=len(headers)) if lines else None


def _line(judged: Sequence[Judged]) -> tuple[str, ...]:
    """One verdict, or several of the same statement that was not measured."""
    first = judged[0]
    return (
        plain(retell(first.claim.text)),
        plain(retell(first.claim.source)),
        say("; ").join(_conditions(judged)) or NOTHING,
        _subjects(first) if first.measured else NOTHING,
        _measured(first) if first.measured else NOTHING,
        _verdict(judged),
    )


def _conditions(judged: Sequence[Judged]) -> list[str]:
    """What must hold, metrics of the same range together."""
    titles: dict[tuple[str, bool], list[str]] = {}
    for each in judged:
        if each.metric:
            about = METRICS[each.metric]
            unit = "ratio" if each.claim.of_ratio else about.unit
            titles.setdefault((_range(each.claim, unit), each.claim.of_ratio), []).append(
                f"*{plain(say(about.title))}*"
            )
    return [
        say("{metrics}: ratio {range}", metrics=", ".join(_once(found)), range=range_)
        if of_ratio
        else say("{metrics}: {range}", metrics=", ".join(_once(found)), range=range_)
        for (range_, of_ratio), found in titles.items()
    ]


def _range(claim: Claim, unit: str) -> str:
    least, most = claim.range.at_least, claim.range.at_most
    scale = scale_of([end for end in (least, most) if end is not None], unit)
    low, high = (
        "" if end is None else number_and_unit(digits(f"{end / scale.size:,.6g}"), scale.name) for end in (least, most)
    )
    if low and high:
        return say("from {low} to {high}", low=low, high=high)
    return say("at least {low}", low=low) if low else say("at most {high}", high=high)


def _subjects(judged: Judged) -> str:
    """The candidates, and once the engine, precision and device that they share."""
    assert judged.new is not None
    subject = judged.new.subject
    way = code("/".join((subject.engine, subject.precision, subject.place)))
    new = code(subject.candidate)
    if judged.base is None:
        return say("{candidate} on {way}", candidate=new, way=way)
    return say("{new} against {base} on {way}", new=new, base=code(judged.base.subject.candidate), way=way)


def _measured(judged: Judged) -> str:
    """A value, or a ratio and the two values that it is of."""
    assert judged.new is not None
    assert judged.measured is not None
    unit, found = METRICS[judged.metric].unit, judged.measured
    if judged.base is None:
        return with_interval(found.value, found.low, found.high, unit)
    ratio = with_interval(found.value, found.low, found.high, "ratio")
    new, base = (quantity(row.metrics[judged.metric].estimate.value, unit) for row in (judged.new, judged.base))
    return say("{ratio} ({new} against {base})", ratio=ratio, new=new, base=base)


def _verdict(judged: Sequence[Judged]) -> str:
    """The verdict in words, why, and what the claim cannot be true together with."""
    words = _word(judged[0])
    if whys := _once(plain(each.why) for each in judged if each.why):
        words = say("{verdict}: {why}", verdict=words, why=say("; ").join(whys))
    if others := _once(plain(retell(other.text)) for each in judged for other in each.contradicts):
        quoted = ", ".join(say("“{claim}”", claim=other) for other in others)
        words = say("{verdict} (contradicts {claims})", verdict=words, claims=quoted)
    return words


def _word(judged: Judged) -> str:
    match judged.verdict:
        case "holds":
            return f"**{say('holds')}**"
        case "does not hold":
            return f"**{say('does not hold')}**"
        case "undecided":
            return say("undecided")
        case "not measured":
            return say("not measured")


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
