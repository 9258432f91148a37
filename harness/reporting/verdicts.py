"""The report of a comparison: the verdict first, then what it stands on."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.language.markup import code, plain
from harness.records.metrics import METRICS
from harness.records.units import quantity
from harness.reporting.cells import ratio_cell
from harness.reporting.table import NOTHING, Entry, Table
from harness.selection.comparison import Comparison
from harness.selection.regressions import Change, VariantStatus, Verdicts
from harness.selection.stored_rounds import NOT_COMPARED, RUN_TO_RUN, Drift
from harness.stats.verdicts import FALSE_DISCOVERIES

_HOW = (
    "*Regressed* and *improved*: the 95 % interval lies wholly beyond the bound. *Unchanged*: it lies wholly within "
    "the threshold. *Undecided*: everything else. Sizes are exact, so any change beyond the threshold counts; quality "
    "is paired by document."
)
_STORED = (
    "Two stored runs were measured at different times, so no round of one pairs with one of the other: the interval is "
    "that of the shift between two samples (Mann & Whitney, Hodges & Lehmann), and no bound is below "
    f"{RUN_TO_RUN:.0%}, by which medians of repeated runs move on an idle machine. A stored run cannot be confirmed by "
    "fresh measurements; `harness ab` measures both revisions side by side and confirms what it finds."
)
_SIDE_BY_SIDE = (
    "Times and memory were measured side by side in blocks; base was held against itself in the same blocks, and no "
    "bound is below what that showed."
)


def verdict_report(verdicts: Verdicts, about: Sequence[str] = ()) -> str:
    """The comparison as Markdown. ``about`` are sentences on what was compared, which follow the verdict."""
    parts = [verdict_sentence(verdicts), *(html.escape(line, quote=False) for line in about)]
    parts += _changes("Regressions", verdicts.of("regressed"))
    parts += _statuses("Newly failing", verdicts.newly_failing)
    parts += _statuses("No longer measured", verdicts.removed)
    parts += _changes("Improvements", verdicts.of("improved"))
    parts += _undecided(verdicts.of("undecided"))
    parts += _unchanged(verdicts.of("unchanged"))
    parts += _names("Newly measured", verdicts.added) + _names("No longer failing", verdicts.newly_ok)
    parts += _fractions(verdicts)
    if verdicts.differences:
        parts += ["## What differs", "Base against new.", _bullets(verdicts.differences)]
    return "\n\n".join([*parts, "## How it was judged", *_how(verdicts)]) + "\n"


def verdict_sentence(verdicts: Verdicts) -> str:
    """The verdict in one sentence: **Regressed**: 2 of 34 metrics are worse; ..."""
    counts = {verdict: len(verdicts.of(verdict)) for verdict in ("regressed", "improved", "undecided", "unchanged")}
    total = len(verdicts.changes)
    said = [f"{counts['regressed']} of {total} metrics regressed"] if counts["regressed"] else []
    said += [_counted(verdicts.newly_failing, "fails", "fail", "newly")] if verdicts.newly_failing else []
    said += [_counted(verdicts.removed, "is", "are", "no longer measured")] if verdicts.removed else []
    rest = [verdict for verdict in ("improved", "undecided", "unchanged") if counts[verdict]]
    said += [f"{counts[verdict]} of {total} {verdict}" for verdict in rest]
    return f"**{verdicts.overall.capitalize()}**: {', '.join(said)}."


def verdicts_json(verdicts: Verdicts) -> str:
    """The comparison as a JSON object, with all changes. Ratios that are infinite or not known are null."""
    body = asdict(verdicts)
    body["judged"] = {
        verdict: len(verdicts.of(verdict)) for verdict in ("regressed", "improved", "undecided", "unchanged")
    }
    return json.dumps(_finite(body), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _changes(title: str, changes: Sequence[Change]) -> list[str]:
    if not changes:
        return []
    headers = ("variant", "metric", "base", "new", "new / base", "counts from", "p")
    lines = [(*_cells(change), f"{change.judgement.bound:.1%}", _p_value(change)) for change in changes]
    return [f"## {title}", Table(headers, tuple(lines), left=2).markdown()]


def _undecided(changes: Sequence[Change]) -> list[str]:
    if not changes:
        return []
    parts = ["## Undecided"]
    apart = [change for change in changes if change.judgement.ratio.method == NOT_COMPARED]
    reasons = dict.fromkeys(change.judgement.reason for change in apart)
    if reasons:
        parts.append(_bullets([_not_compared(reason, apart) for reason in reasons]))
    headers = ("variant", "metric", "why", "base", "new", "new / base", "found from")
    lines: list[tuple[Entry, ...]] = []
    for change in changes:
        if change not in apart:
            variant, metric, *values = _cells(change)
            lines.append((variant, metric, _why(change), *values, _percent(change.judgement.smallest)))
    if lines:
        note = "*Found from*: the change that would be found in 80 % of tries with so many readings."
        parts += [note, Table(headers, tuple(lines), left=3).markdown()]
    return parts


def _not_compared(reason: str, changes: Sequence[Change]) -> str:
    mine = [change for change in changes if change.judgement.reason == reason]
    metrics = ", ".join(dict.fromkeys(METRICS[change.metric].title for change in mine))
    variants = dict.fromkeys(change.variant for change in mine)
    where = f"`{next(iter(variants))}`" if len(variants) == 1 else f"{len(variants)} variants"
    return f"{metrics} of {where}: {reason}"


def _unchanged(changes: Sequence[Change]) -> list[str]:
    if not changes:
        return []
    lines = []
    for metric in dict.fromkeys(change.metric for change in changes):
        mine = [change.judgement for change in changes if change.metric == metric]
        found = [each.smallest for each in mine if each.smallest is not None]
        span = (
            f"{_percent(min(found))} to {_percent(max(found))}"
            if len(found) > 1
            else _percent(max(found, default=None))
        )
        lines.append((METRICS[metric].title, str(len(mine)), span if found else "any change"))
    headers = ("metric", "unchanged", "a change is found from")
    return ["## Unchanged", Table(headers, tuple(lines)).markdown()]


def _fractions(verdicts: Verdicts) -> list[str]:
    if not verdicts.fractions:
        return []
    lines = [
        (
            code(each.variant),
            METRICS[each.metric].title,
            quantity(each.base, "fraction"),
            quantity(each.new, "fraction"),
        )
        for each in verdicts.fractions
    ]
    note = (
        "For information, without a verdict: speeds that were measured under different conditions do not compare; the "
        "fraction of the machine's limit that each reaches does so better."
    )
    headers = ("variant", "fraction of the limit", "base", "new")
    return ["## Fractions of the limit", note, Table(headers, tuple(lines), left=2).markdown()]


def _how(verdicts: Verdicts) -> list[str]:
    discovery = (
        f"Among all changes that were tested, at most {FALSE_DISCOVERIES:.0%} of those reported are false alarms."
    )
    said = [f"{_HOW} {discovery}"]
    if not verdicts.drifts:
        return [*said, _SIDE_BY_SIDE]
    said.append(_STORED)
    for kind, moved in verdicts.drifts.items():
        where = f"On {code(kind)}: " if kind else ""
        said += [where + sentence for sentence in _drift(moved)]
    return said


def _drift(moved: Drift) -> list[str]:
    if moved.control is None:
        said = ["No control workload was timed in both runs, so nothing is corrected for drift."]
    elif moved.reason:
        said = [f"The control workload took {moved.control:.3f} times as long in the new run: {moved.reason}."]
    else:
        said = [
            f"The control workload took {moved.control:.3f} times as long in the new run; ratios of what was timed on "
            "the CPU are corrected for that, the values beside them are as measured."
        ]
    if moved.disturbed:
        said.append(f"{moved.disturbed} readings that were taken while the machine was busy are left out.")
    return said


def _statuses(title: str, variants: Sequence[VariantStatus]) -> list[str]:
    lines = tuple((code(each.variant), each.status, plain(each.reason)) for each in variants)
    return [f"## {title}", Table(("variant", "status", "reason"), lines, left=3).markdown()] if lines else []


def _names(title: str, variants: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {code(variant)}" for variant in variants)] if variants else []


def _cells(change: Change) -> tuple[Entry, ...]:
    unit, ratio = METRICS[change.metric].unit, change.judgement.ratio
    values = (NOTHING if value is None else quantity(value, unit) for value in (change.base, change.new))
    shown = NOTHING if math.isnan(ratio.value) else ratio_cell(Comparison(ratio, None))
    return code(change.variant), METRICS[change.metric].title, *values, shown


def _why(change: Change) -> str:
    more = change.judgement.more_blocks
    if more is None:
        return change.judgement.reason
    return f"{change.judgement.reason}; {more} more block{'s' if more > 1 else ''} would decide"


def _p_value(change: Change) -> str:
    exact = change.judgement.ratio.method == "exact values"
    return "exact" if exact else f"{change.judgement.p_value:.2g}"


def _percent(share: float | None) -> str:
    return NOTHING if share is None or not math.isfinite(share) else f"{share:.1%}"


def _counted(variants: Sequence[object], one: str, many: str, words: str) -> str:
    return f"{len(variants)} variant{'' if len(variants) == 1 else 's'} {one if len(variants) == 1 else many} {words}"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {html.escape(line, quote=False)}" for line in lines)


def _finite(value: Any) -> Any:
    """The same value with null for numbers that JSON cannot write."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
