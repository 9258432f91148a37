"""Speed, memory and weights of variants side by side: bars by engine and precision, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.language.say import say
from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.records.units import in_scale, number_and_unit, scale_of, with_interval
from harness.records.values import Value
from harness.reporting.plots.lanes import MOST, about, best_rows, lanes_height, lanes_width, make_lanes, paint_lanes
from harness.reporting.plots.legend import Key, Sign
from harness.reporting.plots.sheet import Sheet, draw
from harness.reporting.plots.theme import (
    INK,
    PAPER,
    SMALL,
    Plot,
    cropped,
    engine_colours,
    hover,
    precision_hatches,
    text_width,
)
from harness.reporting.plots.ticks import linear_ticks, with_unit
from harness.reporting.plots.words import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_METRICS = {
    "prefill": "prefill_tokens_per_second",
    "decode": "decode_tokens_per_second",
    "encode": "encode_tokens_per_second",
    "peak-memory": "peak_memory_bytes",
    "weights": "weights_bytes",
}
"""What is drawn, by the name of the plot."""


def bar_plots(rows: Sequence[Row]) -> list[Plot]:
    """A plot of bars each for prefill, decode, encode, peak memory and weights, as far as they were measured."""
    plots = (bar_plot(rows, metric, name) for name, metric in _METRICS.items())
    return [plot for plot in plots if plot is not None]


def bar_plot(rows: Sequence[Row], metric: str, name: str, limit: float | None = None, title: str = "") -> Plot | None:
    """A bar a variant; ``limit`` is a value that all are held against. None where no variant has the metric."""
    shown = best_rows(rows, metric)
    if not shown:
        return None
    lanes = make_lanes(shown)
    engines, precisions = ([getattr(row.subject, of) for row in shown] for of in ("engine", "precision"))
    sheet = Sheet(
        name=name,
        title=title or _title(metric),
        alt=_alt(shown, metric),
        how_to_read=" ".join(filter(None, (_direction(metric, limit), left_out(rows, shown, metric)))),
        keys=bar_keys(rows, engines, precisions),
        left=lanes_width(lanes),
        right=24,
        height=lanes_height(lanes),
    )

    def paint(axes: Axes) -> None:
        from matplotlib.transforms import Affine2D

        places = paint_lanes(axes, lanes)
        values = {row.variant: row.metrics[metric] for row in shown}
        labels = {variant: bar_label(value, METRICS[metric].unit) for variant, value in values.items()}
        room = max(map(text_width, labels.values())) + 12
        longest = max(_high(value) for value in values.values()) or 1.0
        if limit is not None:
            longest = max(longest, limit * 1.02)
        end = longest * sheet.axes_width / max(sheet.axes_width - room, 40)
        unit = linear_ticks(axes, "x", 0, end, METRICS[metric].unit)
        axes.set_xlabel(with_unit(say(METRICS[metric].title), unit))
        axes.grid(axis="x")
        _paint_bars(axes, rows, shown, metric, places)
        if limit is not None:
            axes.axvline(limit, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        figure, beside = axes.get_figure(root=True), axes.transData + Affine2D().translate(4, 0)
        assert figure is not None
        for variant, value in values.items():
            write(figure, _high(value), places[variant], labels[variant], SMALL, transform=beside)

    return draw(sheet, paint)


def bar_keys(rows: Sequence[Row], engines: Sequence[str], precisions: Sequence[str]) -> tuple[Key, ...]:
    """What colours and patterns of bars mean: those that are drawn, as they are chosen among all rows."""
    colours = engine_colours([row.subject.engine for row in rows])
    hatches = precision_hatches([row.subject.precision for row in rows])
    return (
        Key(say("engine"), tuple(Sign(name, colours[name], hatch="") for name in colours if name in engines)),
        Key(say("precision"), tuple(Sign(name, INK, hatch=hatches[name]) for name in hatches if name in precisions)),
    )


def left_out(rows: Sequence[Row], shown: Sequence[Row], metric: str) -> str:
    """How many variants are not drawn, as a sentence; empty where all are."""
    missing = sum(row.status == "ok" and metric in row.metrics for row in rows) - len(shown)
    return say("The best {shown} are drawn; left out: {count}.", shown=MOST, count=missing) if missing else ""


def bar_label(value: Value, unit: str) -> str:
    """A value as it stands at its bar: rounded by its interval; its unit only where sizes of units differ."""
    estimate = value.estimate
    scale = scale_of([estimate.value], unit)
    number = in_scale(estimate.value, estimate.low, estimate.high, scale, ends=False)
    return number_and_unit(number, scale.name) if unit in ("bytes", "fraction", "s") else number


def said(row: Row, metric: str) -> str:
    """A metric of a row with its title, value, interval and unit."""
    estimate, about_it = row.metrics[metric].estimate, METRICS[metric]
    value = with_interval(estimate.value, estimate.low, estimate.high, about_it.unit)
    return say("{title}: {value}", title=say(about_it.title), value=value)


def _paint_bars(axes: Axes, rows: Sequence[Row], shown: Sequence[Row], metric: str, places: dict[str, float]) -> None:
    from matplotlib.patches import Rectangle

    colours = engine_colours([row.subject.engine for row in rows])
    hatches = precision_hatches([row.subject.precision for row in rows])
    ends: list[float] = []
    heights: list[float] = []
    for row in shown:
        estimate, y = row.metrics[metric].estimate, places[row.variant]
        colour, hatch = colours[row.subject.engine], hatches[row.subject.precision]
        bar = Rectangle((0, y - 0.34), estimate.value, 0.68, facecolor=colour, hatch=hatch, linewidth=0)
        bar.set_hatchcolor(PAPER)
        bar.set_gid(hover(about(row, said(row, metric))))
        axes.add_artist(bar)
        if estimate.low is not None and estimate.high is not None and estimate.low < estimate.high:
            ends += [
                estimate.low,
                estimate.low,
                estimate.low,
                estimate.high,
                estimate.high,
                estimate.high,
                float("nan"),
            ]
            heights += [y - 0.18, y + 0.18, y, y, y - 0.18, y + 0.18, float("nan")]
    axes.plot(ends, heights, color=PAPER, linewidth=3, solid_capstyle="butt")
    axes.plot(ends, heights, color=INK, linewidth=1.1, solid_capstyle="butt")


def _high(value: Value) -> float:
    return max(value.estimate.value, value.estimate.high or 0.0)


def _title(metric: str) -> str:
    title = say(METRICS[metric].title)
    return title[:1].upper() + title[1:]


def _direction(metric: str, limit: float | None) -> str:
    if limit is not None:
        return say("The dashed line is what this machine could do at best; thin lines are 95 % intervals.")
    if METRICS[metric].higher_is_better:
        return say("Longer is better; thin lines are 95 % intervals.")
    return say("Shorter is better; thin lines are 95 % intervals.")


def _alt(shown: Sequence[Row], metric: str) -> str:
    """The plot in words: how many bars, the best and the worst."""
    upwards = METRICS[metric].higher_is_better is not False
    ordered = sorted(shown, key=lambda row: row.metrics[metric].estimate.value, reverse=upwards)
    first, last = ordered[0], ordered[-1]
    return say(
        "Bars of {title} for {count} variants, from {best} of {best_variant} to {worst} of {worst_variant}.",
        title=say(METRICS[metric].title),
        count=len(shown),
        best=_plain_value(first, metric),
        best_variant=cropped_name(first),
        worst=_plain_value(last, metric),
        worst_variant=cropped_name(last),
    )


def cropped_name(row: Row) -> str:
    """A variant's name, fit for a sentence."""
    return cropped(row.variant, 60)


def _plain_value(row: Row, metric: str) -> str:
    return with_interval(row.metrics[metric].estimate.value, None, None, METRICS[metric].unit)
