"""Two runs compared: the verdict on every metric of every variant that both measured, and on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError
from harness.records.metrics import METRICS
from harness.records.roofline import FRACTION_OF
from harness.records.rows import Row, make_rows
from harness.records.stored_run import StoredRun
from harness.records.values import Value
from harness.selection import comparability
from harness.selection.comparison import ratio_by_document
from harness.selection.stored_rounds import Drift, drift, judge_rounds, not_compared, rounds_that_could_tell
from harness.selection.thresholds import may_be_judged, rule_of
from harness.stats.verdicts import Judgement, Rule, Verdict, control_false_discoveries, judge_exact, judge_interval

JUDGED = (
    "prefill_tokens_per_second",
    "decode_tokens_per_second",
    "encode_tokens_per_second",
    "encode_batch_tokens_per_second",
    "load_seconds",
    "peak_memory_bytes",
)
"""What is judged of speed and memory; other metrics of theirs, such as percentiles, where a threshold names them."""
_FAILED = ("failed", "timeout", "out-of-memory", "crashed")


@dataclass(frozen=True)
class Change:
    """A metric of a variant in base and new, in the metric's unit (None where it was not measured), with the verdict.

    The judgement's ratio may be corrected for drift; the two values are as measured.
    """

    variant: str
    metric: str
    base: float | None
    new: float | None
    judgement: Judgement


@dataclass(frozen=True)
class VariantStatus:
    """A variant that is not what it was: its status now, and why."""

    variant: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class FractionChange:
    """A fraction of the machine's limit in two runs, for information."""

    variant: str
    metric: str
    base: float
    new: float


@dataclass(frozen=True)
class Verdicts:
    """What comparing two runs found; ``base`` and ``new`` are their names.

    ``removed`` are variants that were measured in base and are missing, skipped or unfinished in new. ``differences``
    say what differs between the runs, and ``fractions`` stand in for speeds where that forbids to compare them.
    ``drifts`` are by kind of machine (empty: none was asked for), and none where both were measured side by side.
    """

    base: str
    new: str
    overall: Verdict
    changes: tuple[Change, ...]
    added: tuple[str, ...] = ()
    removed: tuple[VariantStatus, ...] = ()
    newly_failing: tuple[VariantStatus, ...] = ()
    newly_ok: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    fractions: tuple[FractionChange, ...] = ()
    drifts: Mapping[str, Drift] = field(default_factory=dict)

    def of(self, verdict: Verdict) -> list[Change]:
        """The changes with this verdict."""
        return [change for change in self.changes if change.judgement.verdict == verdict]


def compare_runs(
    base: StoredRun,
    new: StoredRun,
    thresholds: Mapping[str, float],
    timings: Mapping[tuple[str, str], Change] | None = None,
) -> Verdicts:
    """Judge every metric with a direction that base has, variant by variant.

    ``thresholds`` are fractions by metric, see ``rule_of``. ``timings`` are changes by (variant, metric) that were
    measured side by side and judged with their false discoveries held down: with them, stored times and memory are not
    judged. Raises HarnessError where there is
    nothing to compare, and where both are the same measurements: that must never pass for "unchanged".
    """
    before, after = _rows(base), _rows(new)
    pairs = [(row, after[variant]) for variant, row in before.items() if variant in after]
    judge = _Judge(base.info, new.info, pairs, thresholds, timings)
    stored = [change for rows in pairs for change in judge.changes(*rows)]
    changes = [*stored, *(timings or {}).values()]
    side_by_side = timings is not None
    failing = [_status(n) for b, n in pairs if _good(b, side_by_side) and n.status in _FAILED]
    gone = [_status(n) for b, n in pairs if _gone(b, n, side_by_side)]
    gone += [VariantStatus(variant, "not in the new run") for variant in before if variant not in after]
    if not failing and not any(change.base is not None and change.new is not None for change in changes):
        raise HarnessError(f"nothing to compare: '{base.name}' and '{new.name}' have no metric of a variant in common")
    if timings is None and _bare(base) == _bare(new):
        raise HarnessError(f"'{base.name}' and '{new.name}' are the same measurements; measure anew with: run --fresh")
    changes = [*_controlled(stored, judge.stored), *(timings or {}).values()]
    return Verdicts(
        base.name,
        new.name,
        _overall(changes, failing, gone),
        tuple(changes),
        added=tuple(variant for variant in after if variant not in before),
        removed=tuple(gone),
        newly_failing=tuple(failing),
        newly_ok=tuple(n.variant for b, n in pairs if not _good(b, side_by_side) and _good(n, side_by_side)),
        differences=tuple(judge.differences),
        fractions=tuple(_fractions(pairs)) if judge.machine else (),
        drifts={} if side_by_side else judge.drifts,
    )


class _Judge:
    """Judges the metrics of pairs of rows, knowing what their runs differ in."""

    def __init__(
        self,
        base: Mapping[str, Any],
        new: Mapping[str, Any],
        pairs: Sequence[tuple[Row, Row]],
        thresholds: Mapping[str, float],
        timings: Mapping[tuple[str, str], Change] | None,
    ) -> None:
        self.thresholds = thresholds
        self.side_by_side = timings is not None
        self.machine = comparability.machine_differences(base, new)
        self.text, self.items = comparability.text_differences(base, new), comparability.item_differences(base, new)
        told = comparability.told_differences(base, new, pairs)
        self.differences = [*self.machine, *self.text, *self.items, *told]
        self.timed = tuple(dict.fromkeys([*JUDGED, *(metric for metric in thresholds if _is_timed(metric))]))
        kinds = dict.fromkeys(row.subject.machine for row, _ in pairs)
        self.drifts = {
            kind: drift([each for each in pairs if each[0].subject.machine == kind], self.timed) for kind in kinds
        }
        self.stored: set[tuple[str, str]] = set()
        """What was judged from stored rounds."""

    def changes(self, base: Row, new: Row) -> list[Change]:
        """The judged metrics of a variant that base has; none of those that a variant which failed did not reach."""
        found = []
        for metric, before in base.metrics.items():
            if not may_be_judged(metric) or (_is_timed(metric) and not self._is_judged(metric, before)):
                continue
            rule, after = rule_of(metric, self.thresholds), new.metrics.get(metric)
            value = before.estimate.value
            if after is not None:
                judgement = self._judgement(base, new, metric, rule)
                found.append(Change(base.variant, metric, value, after.estimate.value, judgement))
            elif _good(new, self.side_by_side):
                judgement = not_compared(value, None, rule, "not measured in the new run")
                found.append(Change(base.variant, metric, value, None, judgement))
        return found

    def _is_judged(self, metric: str, base: Value) -> bool:
        """Whether stored times or memory are judged; a single reading, as of memory, where a threshold names it."""
        if self.side_by_side or metric not in self.timed:
            return False
        return bool(base.rounds) or metric in self.thresholds

    def _judgement(self, base: Row, new: Row, metric: str, rule: Rule) -> Judgement:
        before, after = base.metrics[metric], new.metrics[metric]
        values = before.estimate.value, after.estimate.value
        if METRICS[metric].measure == "size":
            return judge_exact(*values, rule)
        if not _is_timed(metric):
            return self._quality(base, new, metric, rule)
        reason = comparability.machine_reason(self.machine) or comparability.protocol_reason(before, after)
        if reason:
            return not_compared(*values, rule, reason)
        self.stored.add((base.variant, metric))
        return judge_rounds(before, after, metric, rule, self.drifts[base.subject.machine], base.subject.device)

    def _quality(self, base: Row, new: Row, metric: str, rule: Rule) -> Judgement:
        before, after = base.metrics[metric], new.metrics[metric]
        values = before.estimate.value, after.estimate.value
        if reason := comparability.why_not(base, new, metric, self.text, self.items):
            return not_compared(*values, rule, reason)
        if before.documents and before.documents == after.documents:
            return judge_exact(1.0, 1.0, rule)
        try:
            ratio = ratio_by_document(before, after, metric)
        except ValueError as error:
            return not_compared(*values, rule, str(error))
        if ratio is None:
            return not_compared(*values, rule, "no documents in common")
        return judge_interval(ratio, rule)


def _controlled(changes: Sequence[Change], stored: set[tuple[str, str]]) -> list[Change]:
    """The changes with false discoveries held down among those that were tested at all."""
    tested = {
        (change.variant, change.metric): change.judgement
        for change in changes
        if change.judgement.ratio.low is not None
    }
    tests = sum(each.ratio.method != "exact values" for each in tested.values())
    held = control_false_discoveries(tested)
    for key in stored & held.keys():
        if held[key].verdict != tested[key].verdict:
            held[key] = rounds_that_could_tell(held[key], tests)
    return [
        Change(each.variant, each.metric, each.base, each.new, held.get((each.variant, each.metric), each.judgement))
        for each in changes
    ]


def _overall(changes: Sequence[Change], failing: Sequence[VariantStatus], gone: Sequence[VariantStatus]) -> Verdict:
    verdicts = {change.judgement.verdict for change in changes}
    if "regressed" in verdicts or failing:
        return "regressed"
    if "undecided" in verdicts or gone:
        return "undecided"
    return "improved" if "improved" in verdicts else "unchanged"


def _rows(run: StoredRun) -> dict[str, Row]:
    rows = {row.variant: row for row in make_rows(run.records())}
    if not rows:
        raise HarnessError(f"nothing to compare: '{run.name}' has no variant")
    return rows


def _good(row: Row, side_by_side: bool) -> bool:
    """Whether a variant was measured; runs that are timed side by side hold no timings of their own."""
    return row.status == "ok" or (side_by_side and row.status == "interrupted")


def _gone(base: Row, new: Row, side_by_side: bool) -> bool:
    if _good(new, side_by_side):
        return False
    return (_good(base, side_by_side) and new.status not in _FAILED) or (
        base.status == "interrupted" and not side_by_side and new.status in _FAILED
    )


def _status(row: Row) -> VariantStatus:
    return VariantStatus(row.variant, row.status, row.reason)


def _is_timed(metric: str) -> bool:
    return METRICS[metric].measure in ("speed", "memory", "energy")


def _fractions(pairs: Sequence[tuple[Row, Row]]) -> list[FractionChange]:
    return [
        FractionChange(base.variant, metric, before, after)
        for base, new in pairs
        for metric in FRACTION_OF.values()
        if (before := base.value(metric)) is not None and (after := new.value(metric)) is not None
    ]


def _bare(run: StoredRun) -> list[tuple[Any, ...]]:
    """What tells the measurements of two runs apart, whatever a baseline left out."""
    return [
        (each.task, each.round, each.status, each.duration_seconds, each.conditions, each.fact and each.fact.value)
        for each in run.records()
    ]
