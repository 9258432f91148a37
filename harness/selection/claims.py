"""Claims about models, held against the rows of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from harness.language.say import retell, say
from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.selection.comparison import SINGLE_READING, TOKENIZER_BOUND, compare
from harness.stats.intervals import Estimate

Verdict = Literal["holds", "does not hold", "undecided", "not measured"]

_EVERY_VARIANT = ("speed", "memory", "energy")
"""Measures that depend on the engine as much as on the model: judged on every variant that a claim does not forbid."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``at_least`` to ``at_most``, both included; an end that is None is open."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, low: float, high: float) -> bool | None:
        """Whether all that lies between ``low`` and ``high`` is in the range (True) or out of it (False); else None."""
        least = float("-inf") if self.at_least is None else self.at_least
        most = float("inf") if self.at_most is None else self.at_most
        if least <= low and high <= most:
            return True
        return False if high < least or low > most else None

    def excludes(self, other: Range) -> bool:
        """Whether no number is in both ranges."""
        return any(
            low is not None and high is not None and low > high
            for low, high in ((self.at_least, other.at_most), (other.at_least, self.at_most))
        )


@dataclass(frozen=True)
class Claim:
    """A statement, and what must hold of metrics for it to be true.

    ``new`` and ``base`` name candidates in order of preference, and the first of ``new`` belongs to the first of
    ``base``, the second to the second. Without ``base`` the range is one of values, in each metric's unit; with it, of
    ratios new / base. ``variants`` are patterns of ``ENGINE/PRECISION[/DEVICE]``; see ``judge`` for what is taken where
    there are none. A claim that no metric can tell has none, and says in ``unmeasured`` why.
    """

    text: str
    source: str
    new: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    range: Range = field(default_factory=Range)
    variants: tuple[str, ...] = ()
    unmeasured: str = ""

    @property
    def of_ratio(self) -> bool:
        """Whether two candidates are compared."""
        return bool(self.base)

    @property
    def sides(self) -> tuple[tuple[str, ...], ...]:
        """What the claim may be judged on, best first: (candidate,) or (candidate, the one it is compared with)."""
        return tuple(zip(self.new, self.base, strict=True)) if self.base else tuple((name,) for name in self.new)


@dataclass(frozen=True)
class Judged:
    """A claim's verdict by one metric, on one variant or on two. ``measured`` is the value of ``new``, or the ratio of
    ``new`` to ``base``, and ``why`` says why the verdict is *undecided* or *not measured*. ``contradicts`` are claims
    that cannot be true where this one is."""

    claim: Claim
    metric: str
    verdict: Verdict
    why: str = ""
    new: Row | None = None
    base: Row | None = None
    measured: Estimate | None = None
    contradicts: tuple[Claim, ...] = ()


def judge(claims: Sequence[Claim], rows: Sequence[Row]) -> list[Judged]:
    """Verdicts of all claims by each of their metrics, in the order of the claims; reasons are in the language that is
    spoken.

    A claim is judged on the first of its candidates that were measured. Where it names no variants, sizes and quality
    are judged on one (``torch/fp32`` if that was measured), and speed, memory and energy on each that was measured; two
    candidates are compared on the same engine, precision, device and kind of machine. A verdict takes the whole 95 %
    interval: *holds* where all of it is in the range, *does not hold* where none of it is.
    """
    found: list[Judged] = []
    for claim in claims:
        against = tuple(other for other in claims if contradict(claim, other))
        if claim.unmeasured:
            found.append(Judged(claim, "", "not measured", retell(claim.unmeasured), contradicts=against))
        for metric in claim.metrics:
            found += _judge(claim, metric, rows, against)
    return found


def contradict(one: Claim, other: Claim) -> bool:
    """Whether two claims about a metric of the same candidates cannot both be true."""
    same = set(one.metrics) & set(other.metrics) and set(one.sides) & set(other.sides)
    return bool(same) and one.variants == other.variants and one.range.excludes(other.range)


def _judge(claim: Claim, metric: str, rows: Sequence[Row], against: tuple[Claim, ...]) -> list[Judged]:
    every = bool(claim.variants) or METRICS[metric].measure in _EVERY_VARIANT
    lost: list[Judged] = []
    for names in claim.sides:
        judged = [_judge_on(claim, metric, subjects, against) for subjects in _subjects(claim, names, rows)]
        measured = [each for each in judged if each.verdict != "not measured"]
        if measured:
            return measured if every else measured[:1]
        lost += judged
    return lost[:1] or [Judged(claim, metric, "not measured", _absent(claim, rows), contradicts=against)]


def _subjects(claim: Claim, names: tuple[str, ...], rows: Sequence[Row]) -> list[tuple[Row, ...]]:
    """The rows of candidates, side by side where engine, precision and place are the same; torch/fp32 first."""
    wanted = [row for row in rows if not claim.variants or any(_matches(row, each) for each in claim.variants)]
    by_way = [{_way(row): row for row in wanted if row.subject.candidate == name} for name in names]
    common = [way for way in by_way[0] if all(way in each for each in by_way)]
    common.sort(key=lambda way: way[:2] != ("torch", "fp32"))
    return [tuple(each[way] for each in by_way) for way in common]


def _way(row: Row) -> tuple[str, str, str]:
    return row.subject.engine, row.subject.precision, row.subject.place


def _matches(row: Row, pattern: str) -> bool:
    whole = pattern if pattern.count("/") > 1 else f"{pattern}/*"
    engine, precision, place = _way(row)
    return any(fnmatchcase(f"{engine}/{precision}/{each}", whole) for each in (place, row.subject.device))


def _judge_on(claim: Claim, metric: str, subjects: tuple[Row, ...], against: tuple[Claim, ...]) -> Judged:
    new, base = subjects[0], subjects[1] if claim.of_ratio else None
    why = next((reason for row in subjects if (reason := _lacks(row, metric))), "")
    measured = None if why else _value(new, metric) if base is None else _ratio(new, base, metric)
    if measured is None:
        why = why or _no_ratio(new, base, metric)
        return Judged(claim, metric, "not measured", why, new, base, None, against)
    verdict, why = _verdict(claim.range, measured)
    return Judged(claim, metric, verdict, why, new, base, measured, against)


def _verdict(range_: Range, measured: Estimate) -> tuple[Verdict, str]:
    if measured.low is None or measured.high is None:
        return "undecided", say("there is no interval ({method})", method=retell(measured.method or "one reading"))
    holds = range_.holds(measured.low, measured.high)
    if holds is None:
        return "undecided", say("the interval reaches over the bound")
    return ("holds" if holds else "does not hold"), ""


def _value(row: Row, metric: str) -> Estimate:
    """A metric of a row, with an interval where sizes are exact and where memory was read once."""
    value = row.metrics[metric]
    estimate, measure = value.estimate, METRICS[metric].measure
    if estimate.low is not None or value.rounds or measure not in ("size", "memory"):
        return estimate
    share = SINGLE_READING if measure == "memory" else 0.0
    low, high = estimate.value * (1 - share), estimate.value * (1 + share)
    return Estimate(estimate.value, low, high, 1, "single reading, 5 %" if share else "exact value")


def _ratio(new: Row, base: Row, metric: str) -> Estimate | None:
    if base.metrics[metric].estimate.value <= 0:
        return None
    comparison = compare(base, new, metric)
    return None if comparison is None else _not_narrower_than_chance(comparison.ratio, base, metric)


def _not_narrower_than_chance(ratio: Estimate, base: Row, metric: str) -> Estimate:
    """The ratio of two accuracies that are the same in every document, with an interval of some width: of as many
    items again, up to three might have told them apart (the rule of three, Hanley & Lippman-Hand 1983, JAMA 249)."""
    documents = base.metrics[metric].documents.values()
    if ratio.low is None or ratio.low != ratio.high or not all("correct" in sums for sums in documents):
        return ratio
    right = sum(sums["correct"] for sums in documents)
    if right <= 0:
        return ratio
    low, high = ratio.value * max(0.0, 1 - 3 / right), ratio.value * (1 + 3 / right)
    return Estimate(ratio.value, low, high, ratio.n, "rule of three")


def _lacks(row: Row, metric: str) -> str:
    """Why a row has no value of a metric that says something; empty where it has one."""
    title, about = say(METRICS[metric].title), METRICS[metric]
    if metric not in row.metrics:
        if row.status == "ok":
            return say("{metric} was not measured of {variant}", metric=title, variant=row.variant)
        return say("{variant}: {status}, {reason}", variant=row.variant, status=say(row.status),
                   reason=retell(row.reason))  # fmt: skip
    if about.measure == "quality" and row.subject.origin == "random":
        return say("the weights of {candidate} are random: it has learnt nothing", candidate=row.subject.candidate)
    return ""


def _no_ratio(new: Row, base: Row | None, metric: str) -> str:
    title = say(METRICS[metric].title)
    if base is not None and base.metrics[metric].estimate.value <= 0:
        return say("{metric} of {variant} is 0, and there is no ratio to zero", metric=title, variant=base.variant)
    if base is not None and metric in TOKENIZER_BOUND and base.subject.tokenizer_hash != new.subject.tokenizer_hash:
        return say("the tokenizers differ, and this is counted a token")
    return say("both were measured, but never in the same round or document")


def _absent(claim: Claim, rows: Sequence[Row]) -> str:
    """Why no variant was found to judge on: by the candidates of which the fewest are missing."""
    there = {row.subject.candidate for row in rows}
    lost = min(([name for name in names if name not in there] for names in claim.sides), key=len)
    if lost:
        return say("not in this run: {candidates}", candidates=", ".join(lost))
    names = next(names for names in claim.sides if there.issuperset(names))
    if claim.variants:
        patterns = ", ".join(claim.variants)
        return say("no variant of {candidates} is {patterns}", candidates=", ".join(names), patterns=patterns)
    return say("no engine and precision that {candidates} have in common", candidates=", ".join(names))
