"""The report of a study: false alarms, and how often a known slow-down is found."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.errors import HarnessError
from harness.records.blocks import AGAIN, BASE, Block
from harness.records.metrics import METRICS
from harness.records.units import quantity
from harness.reporting.sections import environment_lines
from harness.reporting.table import Table
from harness.selection.error_rates import SAME, SLOWED, SLOWER, Comparison, Study, comparisons, resampled
from harness.selection.thresholds import rule_of
from harness.stats.intervals import Estimate, median, median_estimate, wilson
from harness.stats.verdicts import LOOKS, Judgement, change, judge, spread

RESAMPLES = 1000
_ARMS_OF_AB = 3


def study_report(studies: Sequence[Study]) -> str:
    """The whole report of studies of one variant, as Markdown.

    Comparisons in a row are cut within each study, everything else is of all blocks together. Raises HarnessError where
    the studies are of several variants.
    """
    variants = sorted({block.variant for study in studies for block in study.blocks})
    if len(variants) > 1:
        raise HarnessError(f"studies of several variants do not add up: {', '.join(variants)}")
    rows = [study.usable for study in studies if study.usable]
    parts = ["# Error rates of the verdicts", _what(studies) if rows else "No block was measured."]
    if rows:
        blocks = [block for row in rows for block in row]
        slowed = [metric for metric in SLOWED if metric in blocks[0].metrics]
        parts += ["## False alarms", _false_alarms(rows, slowed)]
        parts += ["## Power", _POWER, _power_table(rows, slowed).markdown()]
        parts += ["## What the machine allows", _NOISE, _noise_table(blocks).markdown()]
    environments = dict.fromkeys(
        "\n".join(f"- {line}" for line in environment_lines(study.environment)) for study in studies
    )
    parts += ["## Environment", *environments]
    parts += ["## Reproduce", "\n".join(["```", *(study.command for study in studies), "```"])]
    return "\n\n".join(parts) + "\n"


def _what(studies: Sequence[Study]) -> str:
    counts = [len(study.usable) for study in studies]
    disturbed = sum(len(study.blocks) for study in studies) - sum(counts)
    first = next(study.usable[0] for study in studies if study.usable)
    runs = f" in {len(counts)} runs ({' + '.join(map(str, counts))})" if len(counts) > 1 else ""
    return (
        f"`{first.variant}`, {sum(counts)} blocks of {len(first.arms)} arms{runs}: base three times (base, again, "
        "same), and four times with real extra work after every call. Blocks are dealt to comparisons as `harness ab` "
        f"makes them: looks at {', '.join(map(str, LOOKS))} blocks, fresh blocks to confirm a change. {disturbed} "
        "blocks were disturbed and are not used."
    )


_POWER = (
    "*Found*: a comparison says regressed. Comparisons in a row share no block; their interval is Wilson's. Resampled "
    f"comparisons draw from all blocks, {RESAMPLES:,} times: finer, but not independent. The ratio is the median over "
    "all blocks with its 95 % interval: what the extra work really did. Minutes: those of a comparison of three arms."
)
_NOISE = (
    "What base differs from itself by, from block to block, in standard deviations (1.4826 times the median distance "
    "from the median, of `again` and `same`), beside the spread of base alone: what single measurements in fresh "
    "processes would stray by. Smallest: the change that is found in 80 % of tries."
)


def _false_alarms(rows: Sequence[Sequence[Block]], slowed: Sequence[str]) -> str:
    """Every metric that nothing was done to, in every arm."""
    metrics = rows[0][0].metrics
    made = {
        (metric, arm): [each.judgements[metric] for each in _in_a_row(rows, arm, metric)]
        for metric in metrics
        for arm in (SAME, *SLOWER)
        if arm == SAME or metric not in slowed
    }
    verdicts = [judgement.verdict for found in made.values() for judgement in found]
    if not verdicts:
        return "There are too few blocks for a comparison."
    alarms = [
        f"- {metric} {each.verdict} ({arm})"
        for (metric, arm), found in made.items()
        for each in found
        if _is_change(each)
    ]
    drawn = [judgement for each in _resampled(rows, SAME) for judgement in each.judgements.values()]
    lines = []
    for metric in metrics:
        mine = [each.verdict for (name, _), found in made.items() if name == metric for each in found]
        arms = sum(name == metric for name, _ in made)
        counts = [str(mine.count(verdict)) for verdict in ("unchanged", "undecided", "regressed", "improved")]
        lines.append((METRICS[metric].title, str(arms), str(len(mine)), *counts))
    words = (
        f"**{len(alarms)} of {len(verdicts)} comparisons** of base with itself ended as regressed or improved "
        f"({_share(wilson(len(alarms), len(verdicts)))}). In a row: no two of the same metric and arm share a block; "
        "each ends when its metric is decided, among all metrics as always. Arms: `same`, and for what the extra work "
        f"does not touch the slower ones as well. Resampled: {sum(map(_is_change, drawn))} of {len(drawn):,} of `same`."
    )
    headers = ("metric", "arms", "comparisons", "unchanged", "undecided", "regressed", "improved")
    return "\n\n".join(part for part in (words, "\n".join(alarms), Table(headers, tuple(lines)).markdown()) if part)


def _in_a_row(rows: Sequence[Sequence[Block]], arm: str, metric: str) -> list[Comparison]:
    return [comparison for blocks in rows for comparison in comparisons(blocks, arm, metric)]


def _resampled(rows: Sequence[Sequence[Block]], arm: str) -> list[Comparison]:
    return list(resampled([block for blocks in rows for block in blocks], arm, RESAMPLES))


def _is_change(judgement: Judgement) -> bool:
    return judgement.verdict in ("regressed", "improved")


def _power_table(rows: Sequence[Sequence[Block]], slowed: Sequence[str]) -> Table:
    blocks, lines = [block for row in rows for block in row], []
    minutes_a_block = median([block.seconds for block in blocks]) / len(blocks[0].arms) * _ARMS_OF_AB / 60
    for arm in SLOWER:
        drawn = _resampled(rows, arm)
        for metric in slowed:
            in_a_row = _in_a_row(rows, arm, metric)
            took = [comparison.blocks * minutes_a_block for comparison in in_a_row or drawn]
            lines.append(
                (
                    f"{arm}, {METRICS[metric].title}",
                    _interval(median_estimate([_ratio(block, arm, metric) for block in blocks])),
                    _found(in_a_row, metric),
                    _found(drawn, metric, interval=False),
                    f"{max(took):.1f}" if took else "–",
                )
            )
    headers = ("arm, metric", "ratio", "found, in a row", "found, resampled", "minutes, at most")
    return Table(headers, tuple(lines))


def _noise_table(blocks: Sequence[Block]) -> Table:
    lines = []
    for metric in blocks[0].metrics:
        rule = rule_of(metric, {})
        better = rule.higher_is_better
        itself = [change(block.arms[AGAIN][metric], block.arms[SAME][metric], better) for block in blocks]
        alone = [change(blocks[0].arms[BASE][metric], block.arms[BASE][metric], better) for block in blocks]
        smallest = []
        for count, confidence in LOOKS.items():
            judged = [
                judge(itself[i : i + count], itself[i : i + count], rule, blocks[0].arms[BASE][metric], confidence)
                for i in range(0, len(itself) - count + 1, count)
            ]
            found = [each.smallest for each in judged if each.smallest is not None]
            smallest.append(f"{median(found):.1%}" if found else "–")
        value = quantity(median([block.arms[BASE][metric] for block in blocks]), METRICS[metric].unit)
        lines.append((METRICS[metric].title, value, f"{spread(itself):.1%}", f"{spread(alone):.1%}", *smallest))
    headers = ("metric", "base", "base against itself", "base alone", *(f"smallest, {n} blocks" for n in LOOKS))
    return Table(headers, tuple(lines))


def _found(made: Sequence[Comparison], metric: str, interval: bool = True) -> str:
    if not made:
        return "–"
    found = sum(each.judgements[metric].verdict == "regressed" for each in made)
    share = wilson(found, len(made))
    return f"{found} of {len(made)}: {_share(share)}" if interval else f"{share.value:.1%}"


def _ratio(block: Block, arm: str, metric: str) -> float:
    return block.arms[arm][metric] / math.sqrt(block.arms[BASE][metric] * block.arms[AGAIN][metric])


def _share(share: Estimate) -> str:
    return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"


def _interval(estimate: Estimate) -> str:
    if estimate.low is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
