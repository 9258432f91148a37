"""The report of a study: false alarms, and how often a known slow-down is found."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def study_report(study: Study) -> str:
    """The whole report, as Markdown."""
    blocks = [block for block in study.blocks if not block.disturbed]
    slowed = [metric for metric in SLOWED if blocks and metric in blocks[0].metrics]
    disturbed = len(study.blocks) - len(blocks)
    parts = [
        "# Error rates of the verdicts",
        f"`{blocks[0].variant}`, {len(blocks)} blocks of {len(blocks[0].arms)} arms: base three times (base, again, "
        "same), and four times with real extra work after every call. Blocks are dealt to comparisons as `harness ab` "
        f"makes them: looks at {', '.join(map(str, LOOKS))} blocks, fresh blocks to confirm a change. {disturbed} "
        "blocks were disturbed and are not used."
        if blocks
        else "No block was measured.",
    ]
    if blocks:
        parts += ["## False alarms", _false_alarms(blocks, slowed)]
        parts += ["## Power", _POWER, _power_table(blocks, slowed).markdown()]
        parts += ["## What the machine allows", _NOISE, _noise_table(blocks).markdown()]
    parts += ["## Environment", "\n".join(environment_lines(study.environment))]
    parts += ["## Reproduce", f"```\n{study.command}\n```"]
    return "\n\n".join(parts) + "\n"


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


def _false_alarms(blocks: Sequence[Block], slowed: Sequence[str]) -> str:
    """Every metric that nothing was done to, in every arm."""
    in_a_row = _untouched([(arm, comparisons(blocks, arm)) for arm in (SAME, *SLOWER)], slowed)
    drawn = _untouched([(SAME, list(resampled(blocks, SAME, RESAMPLES)))], slowed)
    verdicts = [judgement.verdict for *_, judgement in in_a_row]
    alarms = [f"- {metric} {each.verdict} ({arm})" for metric, arm, each in in_a_row if _is_change(each)]
    if not verdicts:
        return "There are too few blocks for a comparison."
    share = wilson(len(alarms), len(verdicts))
    tally = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts)))
    words = (
        f"**{len(alarms)} of {len(verdicts)} metric comparisons** of base with itself ended as regressed or improved "
        f"({_share(share)}); verdicts: {tally}. They are {len(comparisons(blocks, SAME))} comparisons of `same` with "
        "all their metrics, and the metrics of the slower arms that the extra work does not touch (load, peak memory). "
        f"Resampled: {sum(_is_change(each) for *_, each in drawn)} of {len(drawn):,} metric comparisons of `same`."
    )
    return "\n".join([words, *alarms])


def _untouched(
    made: Sequence[tuple[str, Sequence[Comparison]]], slowed: Sequence[str]
) -> list[tuple[str, str, Judgement]]:
    """The judgements of what no arm changes, each with its metric and arm."""
    return [
        (metric, arm, judgement)
        for arm, each in made
        for comparison in each
        for metric, judgement in comparison.judgements.items()
        if arm == SAME or metric not in slowed
    ]


def _is_change(judgement: Judgement) -> bool:
    return judgement.verdict in ("regressed", "improved")


def _power_table(blocks: Sequence[Block], slowed: Sequence[str]) -> Table:
    lines = []
    minutes_a_block = median([block.seconds for block in blocks]) / len(blocks[0].arms) * _ARMS_OF_AB / 60
    for arm in SLOWER:
        in_a_row, drawn = comparisons(blocks, arm), list(resampled(blocks, arm, RESAMPLES))
        for metric in slowed:
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
