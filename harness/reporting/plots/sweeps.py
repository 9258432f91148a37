"""Speed at other prompt lengths and batch sizes than those of the main workload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.language.say import say
from harness.records.metrics import METRICS
from harness.records.record import Record
from harness.records.units import quantity
from harness.reporting.plots.lines import MOST, Line, names_width, paint_lines
from harness.reporting.plots.sheet import Sheet, draw
from harness.reporting.plots.theme import Plot
from harness.reporting.plots.ticks import log_ticks, with_unit
from harness.stats.intervals import median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPEEDS = ("prefill_tokens_per_second", "decode_tokens_per_second", "encode_tokens_per_second")
Swept = dict[str, dict[tuple[int, int], float]]
"""By variant, the speed at a batch size and a number of prompt tokens."""


def sweep_plots(records: Sequence[Record]) -> list[Plot]:
    """A plot a speed against the prompt's length at batch 1, and one against the batch size, where those were swept.

    A point is the median over rounds; one that was left out (it does not fit the model) is no point.
    """
    plots = []
    points = _points(records)
    for metric in _SPEEDS:
        lengths = _lines(points.get(metric, {}), batches=False)
        sizes = _lines(points.get(metric, {}), batches=True)
        kind = metric.split("_", 1)[0]
        if lengths:
            plots.append(_plot(f"sweep-{kind}-prompt", metric, say("prompt length"), "tokens", lengths))
        if sizes:
            plots.append(_plot(f"sweep-{kind}-batch", metric, say("batch size"), "", sizes))
    return plots


def _points(records: Sequence[Record]) -> dict[str, Swept]:
    """Of each speed and variant the median over rounds at each point."""
    found: dict[str, dict[str, dict[tuple[int, int], list[float]]]] = {}
    for record in records:
        fact = record.fact if record.status == "ok" else None
        for sample in fact.samples if fact and fact.metric == "sweep" else ():
            point = int(sample["batch_size"]), int(sample["prompt_tokens"])
            for metric in _SPEEDS:
                if sample.get(metric, 0) > 0:
                    mine = found.setdefault(metric, {}).setdefault(record.subject.variant, {})
                    mine.setdefault(point, []).append(float(sample[metric]))
    return {
        metric: {
            variant: {point: median(readings) for point, readings in points.items()}
            for variant, points in variants.items()
        }
        for metric, variants in found.items()
    }


def _lines(swept: Swept, batches: bool) -> list[Line]:
    """Lines of two points or more: by batch size at the length that has most of them, or by length at batch 1.

    Variants end with their device; where all share it, names go without.
    """
    devices = {variant.rsplit("/", 1)[-1] for variant in swept}
    lines = []
    for variant, points in swept.items():
        lengths = [length for _, length in points]
        fixed = max(sorted(set(lengths)), key=lengths.count)
        kept = {
            (rows if batches else length): value
            for (rows, length), value in points.items()
            if (length == fixed if batches else rows == 1)
        }
        if len(kept) > 1:
            name = variant.rsplit("/", 1)[0] if len(devices) == 1 else variant
            lines.append(Line(name, tuple((float(x), kept[x]) for x in sorted(kept)), _said(kept, batches)))
    return lines


def _said(kept: dict[int, float], batches: bool) -> str:
    unit = METRICS[_SPEEDS[0]].unit
    words = "batch {at}: {speed}" if batches else "{at} tokens: {speed}"
    return "\n".join(say(words, at=at, speed=quantity(kept[at], unit)) for at in sorted(kept))


def _plot(name: str, metric: str, along: str, unit_along: str, lines: Sequence[Line]) -> Plot:
    fastest = sorted(lines, key=lambda line: -line.points[-1][1])[:MOST]
    shown = [line for line in lines if line in fastest]
    missing = len(lines) - len(shown)
    title = say(METRICS[metric].title)
    words = say("Higher is better. Both axes go by powers.")
    if missing:
        words += " " + say("The fastest {shown} are drawn; left out: {count}.", shown=MOST, count=missing)
    sheet = Sheet(
        name=name,
        title=say("{speed} by {quantity}", speed=title[:1].upper() + title[1:], quantity=along),
        alt=_alt(shown, title, along),
        how_to_read=words,
        left=64,
        right=names_width(shown),
        height=270,
    )

    def paint(axes: Axes) -> None:
        xs = [x for line in shown for x, _ in line.points]
        ys = [y for line in shown for _, y in line.points]
        log_ticks(axes, "x", min(xs) / 1.1, max(xs) * 1.1, "")
        unit = log_ticks(axes, "y", min(ys) / 1.2, max(ys) * 1.2, METRICS[metric].unit)
        axes.set_xlabel(with_unit(along, say(unit_along) if unit_along else ""))
        axes.set_ylabel(with_unit(title, unit), rotation_mode="anchor")
        axes.grid()
        paint_lines(axes, shown)

    return draw(sheet, paint)


def _alt(shown: Sequence[Line], title: str, along: str) -> str:
    unit = METRICS[_SPEEDS[0]].unit
    parts = [
        say(
            "{name} from {first} to {last}",
            name=line.label,
            first=quantity(line.points[0][1], unit),
            last=quantity(line.points[-1][1], unit),
        )
        for line in shown
    ]
    return say("{speed} by {quantity}: {lines}.", speed=title, quantity=along, lines=say("; ").join(parts))
