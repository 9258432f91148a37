"""A recommendation in words: who won, by how much, who is as good, and what was given up."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.records.units import with_interval
from harness.selection.comparison import Comparison, compare
from harness.selection.recommend import Recommendation, UseCase, recommend

WORTH_SAYING = 0.05
"""A rival that is better by less than this share is not held against the choice."""

_UNIT_IN_TITLE = ("bits/byte", "bits/char")
"""Units that the titles of their metrics name."""
_TRADE = ("bits_per_byte", "masked_perplexity", "span_perplexity", "continuation_bits_per_byte", "cloze_accuracy",
          "forced_choice_accuracy", "decode_tokens_per_second", "encode_tokens_per_second", "peak_memory_bytes",
          "weights_bytes")  # fmt: skip


def paragraph(recommendation: Recommendation, rows: Sequence[Row]) -> str:
    """One paragraph on a use case. Names of variants stand in backquotes."""
    use_case, chosen = recommendation.use_case, recommendation.chosen
    if chosen is None:
        return f"No recommendation: {recommendation.why_none}." + _excluded_words(recommendation, rows)
    metric = METRICS[use_case.objective]
    extreme = "highest" if metric.higher_is_better else "lowest"
    sentences = [f"Use **`{chosen.variant}`**."]
    if recommendation.tied:
        names = ", ".join(f"`{row.variant}`" for row in recommendation.tied)
        by = f"; {METRICS[recommendation.decided_by].title} decided" if recommendation.decided_by else ""
        sentences.append(
            f"Its {metric.title} of {_shown(chosen, metric.name)} cannot be told from that of {names}{by}."
        )
    else:
        sentences.append(f"It has the {extreme} {metric.title} of all that qualify: {_shown(chosen, metric.name)}.")
    if recommendation.rivals:
        rival, comparison = min(recommendation.rivals, key=lambda pair: abs(pair[1].ratio.value - 1))
        sentences.append(f"Next is `{rival.variant}` with {_shown(rival, metric.name)} ({_by(comparison)}).")
    sentences.append(_given_up(recommendation, rows))
    return " ".join(sentence for sentence in sentences if sentence) + _excluded_words(recommendation, rows)


def paragraphs(rows: Sequence[Row], use_cases: Sequence[UseCase]) -> list[tuple[str, str]]:
    """(title, paragraph) a use case."""
    return [(use_case.title, paragraph(recommend(rows, use_case), rows)) for use_case in use_cases]


def _shown(row: Row, metric: str) -> str:
    """A value with its interval and its unit, such as ``1,036 [727, 1,414] tokens/s``."""
    estimate, unit = row.metrics[metric].estimate, METRICS[metric].unit
    return with_interval(estimate.value, estimate.low, estimate.high, "" if unit in _UNIT_IN_TITLE else unit)


def _by(comparison: Comparison) -> str:
    ratio = comparison.ratio
    if math.isinf(ratio.value):
        return "there is no ratio to zero"
    text = f"the choice is at {ratio.value:.3g} times that"
    if ratio.n == 1:
        return text
    if ratio.low is not None and ratio.high is not None:
        return f"{text}, 95 % interval {ratio.low:.3g} to {ratio.high:.3g}"
    return f"{text}, too few rounds for an interval"


def _given_up(recommendation: Recommendation, rows: Sequence[Row]) -> str:
    """For each other quality, speed and size of the choice: the best eligible rival, where it is clearly better."""
    chosen, use_case = recommendation.chosen, recommendation.use_case
    if chosen is None:
        return ""
    rivals = [
        row for row in rows if row.subject.family in use_case.families and row.variant not in recommendation.excluded
    ]
    costs = []
    for metric in _TRADE:
        if metric == use_case.objective or chosen.value(metric) is None:
            continue
        better = [
            (row, comparison)
            for row in rivals
            if (comparison := compare(chosen, row, metric)) is not None
            and comparison.better
            and abs(comparison.ratio.value - 1) > WORTH_SAYING
        ]
        if not better:
            continue
        higher = bool(METRICS[metric].higher_is_better)
        row, comparison = max(better, key=lambda pair: pair[1].ratio.value * (1 if higher else -1))
        costs.append(
            f"{METRICS[metric].title} ({_shown(chosen, metric)} against {_shown(row, metric)} of `{row.variant}`)"
        )
    return f"Given up: {'; '.join(costs)}." if costs else "Nothing measured is given up for it."


def _excluded_words(recommendation: Recommendation, rows: Sequence[Row]) -> str:
    """Who was not eligible: failed and skipped ones as a number, for they have a table of their own."""
    measured = {row.variant for row in rows if row.status == "ok"}
    by_reason: dict[str, list[str]] = {}
    for name, reason in recommendation.excluded.items():
        if name in measured:
            by_reason.setdefault(reason, []).append(f"`{name}`")
    parts = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    if lost := sum(name not in measured for name in recommendation.excluded):
        parts.append(f"{lost} failed or skipped")
    return f" Not considered: {'; '.join(parts)}." if parts else ""
