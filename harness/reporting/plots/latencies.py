"""Latency distributions: the time between two tokens and the time of an encode call, by their stored quantiles.

Records hold the median, the 95th and the 99th percentile of each round, and no single latencies; so that is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.language.say import say
from harness.records.rows import Row
from harness.reporting.plots.bars import bar_keys, cropped_name, left_out, said
from harness.reporting.plots.lanes import about, best_rows, lanes_height, lanes_width, make_lanes, paint_lanes
from harness.reporting.plots.legend import Key, Sign
from harness.reporting.plots.sheet import Sheet, draw
from harness.reporting.plots.theme import PAPER, Plot, engine_colours, hover, hovers
from harness.reporting.plots.ticks import log_ticks, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_QUANTILES = {"50": "o", "95": "D", "99": "|"}
"""The stored quantiles with their markers."""
_KINDS = {"inter-token-latency": "inter_token_seconds_p", "encode-latency": "latency_seconds_p"}


def latency_plots(rows: Sequence[Row]) -> list[Plot]:
    """A plot of the times between two tokens, and one of those of an encode call, as far as they were measured."""
    plots = (_latency_plot(rows, name, prefix) for name, prefix in _KINDS.items())
    return [plot for plot in plots if plot is not None]


def _latency_plot(rows: Sequence[Row], name: str, prefix: str) -> Plot | None:
    metrics = [prefix + share for share in _QUANTILES]
    shown = [row for row in best_rows(rows, metrics[0]) if _readings(row, metrics)]
    if not shown:
        return None
    between = name.startswith("inter")
    words = say("Time between two tokens" if between else "Time of an encode call")
    lanes = make_lanes(shown)
    engines = [row.subject.engine for row in shown]
    quantiles = tuple(
        Sign(say("{share} %", share=share), marker=marker, size=9 if marker == "|" else 6)
        for share, marker in _QUANTILES.items()
    )
    sheet = Sheet(
        name=name,
        title=words,
        alt=_alt(shown, metrics, words),
        how_to_read=" ".join(filter(None, (_how_to_read(), left_out(rows, shown, metrics[0])))),
        keys=(bar_keys(rows, engines, ())[0], Key(say("share"), quantiles)),
        left=lanes_width(lanes),
        right=24,
        height=lanes_height(lanes),
    )

    def paint(axes: Axes) -> None:
        places = paint_lanes(axes, lanes)
        every = [reading for row in shown for reading in _readings(row, metrics)]
        unit = log_ticks(axes, "x", min(every) / 1.15, max(every) * 1.15, "s")
        axes.set_xlabel(with_unit(words, unit))
        axes.grid(axis="x")
        colours = engine_colours([row.subject.engine for row in rows])
        lines = [Latency(row, colours[row.subject.engine], places[row.variant]) for row in shown]
        for line in lines:
            _paint_line(axes, line, metrics)
        for colour in dict.fromkeys(line.colour for line in lines):
            for metric, marker in zip(metrics, _QUANTILES.values(), strict=True):
                _paint_markers(axes, [line for line in lines if line.colour == colour], metric, marker)

    return draw(sheet, paint)


@dataclass(frozen=True)
class Latency:
    """A variant, its colour and its place on the y axis."""

    row: Row
    colour: str
    y: float


def _paint_line(axes: Axes, line: Latency, metrics: Sequence[str]) -> None:
    """A line from the median to the last quantile."""
    row = line.row
    held = [metric for metric in metrics if (row.value(metric) or 0) > 0]
    values = [row.metrics[metric].estimate.value for metric in held]
    gid = hover(about(row, *(said(row, metric) for metric in held)))
    axes.plot(values, [line.y] * len(values), color=line.colour, linewidth=2.2, gid=gid)


def _paint_markers(axes: Axes, lines: Sequence[Latency], metric: str, marker: str) -> None:
    """The signs of a quantile on lines of one colour, and smaller ones of the rounds below them."""
    held = [line for line in lines if (line.row.value(metric) or 0) > 0]
    if not held:
        return
    colour, bar = held[0].colour, marker == "|"
    rounds = [
        (reading, line.y + 0.3)
        for line in held
        for reading in line.row.metrics[metric].rounds.values()
        if reading > 0 and len(line.row.metrics[metric].rounds) > 1
    ]
    small: dict[str, Any] = {"markersize": 5 if bar else 2.8, "markeredgewidth": 0.8 if bar else 0, "alpha": 0.65}
    axes.plot([x for x, _ in rounds], [y for _, y in rounds], marker, color=colour, **small)
    style: dict[str, Any] = {"markersize": 9 if bar else 6.5, "markeredgewidth": 2.2 if bar else 0.8, "zorder": 3}
    texts = [about(line.row, said(line.row, metric)) for line in held]
    values = [line.row.metrics[metric].estimate.value for line in held]
    edge = colour if bar else PAPER
    axes.plot(values, [line.y for line in held], marker, color=colour, markeredgecolor=edge, gid=hovers(texts), **style)


def _readings(row: Row, metrics: Sequence[str]) -> list[float]:
    """All positive values of quantiles, of rounds and over them: what a logarithmic axis must hold."""
    values = [row.metrics[metric] for metric in metrics if metric in row.metrics]
    return [each for value in values for each in (value.estimate.value, *value.rounds.values()) if each > 0]


def _how_to_read() -> str:
    return say(
        "As many per cent of the times are at most this; large signs are medians over rounds, small ones single "
        "rounds. Further left is better."
    )


def _alt(shown: Sequence[Row], metrics: Sequence[str], words: str) -> str:
    first = min(shown, key=lambda row: row.metrics[metrics[0]].estimate.value)
    return say(
        "{words}: medians, 95th and 99th percentiles of {count} variants; the lowest median is that of {variant} "
        "({value}).",
        words=words,
        count=len(shown),
        variant=cropped_name(first),
        value=said(first, metrics[0]),
    )
