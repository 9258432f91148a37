"""Quality against speed: what one pays for the other, and which variants no other beats at both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.language.say import say
from harness.records.metrics import METRICS, PERPLEXITY
from harness.records.rows import Row
from harness.records.units import number_and_unit, scale_of
from harness.reporting.plots.bars import cropped_name, said
from harness.reporting.plots.labels import label_points
from harness.reporting.plots.lanes import about, way
from harness.reporting.plots.legend import Key, Sign
from harness.reporting.plots.sheet import Sheet, draw
from harness.reporting.plots.theme import (
    FAMILY_MARKERS,
    INK,
    MUTED,
    PAPER,
    Plot,
    cropped,
    engine_colours,
    hovers,
    precision_markers,
)
from harness.reporting.plots.ticks import linear_ticks, log_ticks, round_number, with_unit
from harness.selection.equivalence import not_equivalent
from harness.selection.pareto import SPEED, front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = "continuation_bits_per_byte"
_MOST_LABELS = 12
_SPARSE = 30
"""Up to so many variants those off the front are named too, where there is room."""


@dataclass(frozen=True)
class Scatter:
    """Variants with a quality and a speed: those on the front, those that are not equivalent to their parents."""

    rows: tuple[Row, ...]
    quality: str
    speed: str
    front: tuple[Row, ...]
    hollow: frozenset[str]

    def point(self, row: Row) -> tuple[float, float]:
        """Speed and quality."""
        return row.metrics[self.speed].estimate.value, row.metrics[self.quality].estimate.value


def pareto_plots(rows: Sequence[Row]) -> list[Plot]:
    """Continuations against decode for all families that decode, then each family by its own quality.

    A perplexity counts a model's own tokens, so it is drawn only where all variants share a tokenizer; causal models
    are drawn by bits per byte otherwise. Random weights have no quality.
    """
    drawn = [row for row in rows if row.status == "ok" and row.subject.origin != "random"]
    plots = [_plot(rows, drawn, ACROSS, SPEED["causal"], "pareto-continuations", say("Quality and speed of decoding"))]
    titles = {
        "causal": say("Causal models: quality and speed"),
        "masked": say("Masked models: quality and speed"),
        "seq2seq": say("Sequence-to-sequence models: quality and speed"),
    }
    for family, speed in SPEED.items():
        mine = [row for row in drawn if row.subject.family == family]
        quality = _own_quality(family, mine, speed)
        plots.append(_plot(rows, mine, quality, speed, f"pareto-{family}", titles[family]) if quality else None)
    return [plot for plot in plots if plot is not None]


def _own_quality(family: str, mine: Sequence[Row], speed: str) -> str:
    """The quality that variants of a family can be compared by; empty where there is none."""
    metric = PERPLEXITY[family]
    shown = [row for row in mine if metric in row.metrics and speed in row.metrics]
    if len({row.subject.tokenizer_hash for row in shown}) == 1:
        return metric
    return "bits_per_byte" if family == "causal" else ""


def _plot(every: Sequence[Row], rows: Sequence[Row], quality: str, speed: str, name: str, title: str) -> Plot | None:
    scatter = _scatter(rows, quality, speed)
    if scatter is None:
        return None
    families = {row.subject.family for row in scatter.rows}
    sheet = Sheet(
        name=name,
        title=title,
        alt=_alt(scatter),
        how_to_read=say(
            "Up and to the right is better. Points with a dark rim, which the line outlines, are the front: no other "
            "variant is surely better at both. Thin lines are 95 % intervals; areas are the sizes of weights."
        ),
        keys=_keys(every, scatter, across=len(families) > 1),
        left=66,
        right=24,
        bottom=42,
        height=330,
    )
    return draw(sheet, lambda axes: _paint(axes, every, scatter, across=len(families) > 1))


def _scatter(rows: Sequence[Row], quality: str, speed: str) -> Scatter | None:
    """What can be drawn, which is nothing below two variants."""
    shown = tuple(row for row in rows if (row.value(quality) or 0) > 0 and (row.value(speed) or 0) > 0)
    if len(shown) < 2:
        return None
    hollow = frozenset(row.variant for row in shown if not_equivalent(row))
    sound = [row for row in shown if row.variant not in hollow]
    return Scatter(shown, quality, speed, tuple(front(sound, (quality, speed))), hollow)


def _paint(axes: Axes, every: Sequence[Row], scatter: Scatter, across: bool) -> None:
    """Axes first, because labels need them; the front last and the largest areas first, so that none is hidden."""
    _axes(axes, scatter)
    _paint_front(axes, scatter)
    _paint_intervals(axes, scatter)
    colours = engine_colours([row.subject.engine for row in every])
    markers = _markers(every, across)
    sizes, leading = _diameters(scatter), {row.variant for row in scatter.front}
    alike: dict[tuple[bool, float, str, str, bool], list[Row]] = {}
    for row in scatter.rows:
        name = row.variant
        look = (name in leading, -sizes[name], markers(row), colours[row.subject.engine], name in scatter.hollow)
        alike.setdefault(look, []).append(row)
    for (best, size, marker, colour, hollow), rows in sorted(alike.items(), key=lambda item: item[0]):
        axes.plot(*zip(*map(scatter.point, rows), strict=True), marker, color=PAPER if hollow else colour,
                  markeredgecolor=colour if hollow else INK if best else PAPER,
                  markersize=-size, markeredgewidth=1.5 if hollow or best else 0.7,
                  alpha=1 if best else 0.85, gid=hovers([_said(row, scatter) for row in rows]), zorder=3)  # fmt: skip
    _label(axes, scatter, sizes)


def _said(row: Row, scatter: Scatter) -> str:
    """What a point says when it is pointed at."""
    held = [metric for metric in (scatter.quality, scatter.speed, "weights_bytes") if metric in row.metrics]
    apart = [say("not equivalent to its parent")] if row.variant in scatter.hollow else []
    return about(row, *(said(row, metric) for metric in held), *apart)


def _axes(axes: Axes, scatter: Scatter) -> None:
    """Speed by powers of ten; quality so that up is better, by powers where it goes over a wide range."""
    left, right = _ends(scatter, scatter.speed)
    unit = log_ticks(axes, "x", left / 1.25, right * 1.25, METRICS[scatter.speed].unit)
    axes.set_xlabel(say("{title}, more is better →", title=with_unit(say(METRICS[scatter.speed].title), unit)))
    about_it = METRICS[scatter.quality]
    low, high = _ends(scatter, scatter.quality)
    if high / low > 5 and about_it.unit != "fraction":
        unit = log_ticks(axes, "y", low / 1.12, high * 1.12, about_it.unit)
    else:
        margin = 0.1 * (high - low) or 0.1 * high
        unit = linear_ticks(axes, "y", low - margin, high + margin, about_it.unit)
    title = with_unit(say(about_it.title), "" if about_it.unit.replace("/", " per ") in about_it.title else unit)
    if about_it.higher_is_better:
        axes.set_ylabel(say("{title}, more is better →", title=title), rotation_mode="anchor")
    else:
        axes.invert_yaxis()
        axes.set_ylabel(say("{title}, less is better →", title=title), rotation_mode="anchor")
    axes.grid()


def _ends(scatter: Scatter, metric: str) -> tuple[float, float]:
    """The lowest and the highest value that an axis must hold, intervals included."""
    found = [row.metrics[metric].estimate for row in scatter.rows]
    values = [end for each in found for end in (each.value, each.low, each.high) if end is not None and end > 0]
    return min(values), max(values)


def _paint_front(axes: Axes, scatter: Scatter) -> None:
    """A step line: the best quality that is reached at each speed or more, on to the ends of the axes.

    Those on the front that others are better than at both, but not surely, lie below it.
    """
    points = _outline([scatter.point(row) for row in scatter.front], METRICS[scatter.quality].higher_is_better is True)
    if points:
        left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
        xs, ys = [left, *(x for x, _ in points), points[-1][0]], [points[0][1], *(y for _, y in points), bottom]
        axes.plot(xs, ys, drawstyle="steps-pre", color=MUTED, linewidth=1.3, zorder=1.5)


def _outline(points: Sequence[tuple[float, float]], upwards: bool) -> list[tuple[float, float]]:
    """The points that no other is at least as fast and good as, from slow to fast."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (-point[0], -point[1] if upwards else point[1])):
        if not kept or (y > kept[-1][1] if upwards else y < kept[-1][1]):
            kept.append((x, y))
    return kept[::-1]


def _paint_intervals(axes: Axes, scatter: Scatter) -> None:
    """All intervals as one broken line."""
    xs: list[float] = []
    ys: list[float] = []
    for row in scatter.rows:
        x, y = scatter.point(row)
        speed, quality = (row.metrics[metric].estimate for metric in (scatter.speed, scatter.quality))
        if speed.low is not None and speed.high is not None:
            xs += [max(speed.low, x / 1e3), speed.high, math.nan]
            ys += [y, y, math.nan]
        if quality.low is not None and quality.high is not None:
            xs += [x, x, math.nan]
            ys += [quality.low, quality.high, math.nan]
    many = len(scatter.rows) > 100
    axes.plot(xs, ys, color=MUTED, linewidth=0.4 if many else 0.8, alpha=0.5 if many else 0.8, zorder=2)


def _label(axes: Axes, scatter: Scatter, sizes: dict[str, float]) -> None:
    """Names beside points: of the front, and where there are few variants of the others."""
    rows, shown = scatter.rows, {row.variant for row in scatter.front}
    devices = {row.subject.device for row in rows}
    order = [index for index, row in enumerate(rows) if row.variant in shown]
    if len(rows) <= _SPARSE:
        order += [index for index, row in enumerate(rows) if row.variant not in shown]
    names = [cropped(f"{row.subject.candidate} {way(row, devices)}", 40) for row in rows]
    radii = [sizes[row.variant] / 2 for row in rows]
    points = [scatter.point(row) for row in rows]
    label_points(axes, points, radii, names, order, certain=len(shown), most=_MOST_LABELS)


def _keys(every: Sequence[Row], scatter: Scatter, across: bool) -> tuple[Key, ...]:
    rows, markers = scatter.rows, _markers(every, across)
    colours = engine_colours([row.subject.engine for row in every])
    engines = [name for name in colours if any(row.subject.engine == name for row in rows)]
    shapes = {row.subject.family if across else row.subject.precision: markers(row) for row in rows}
    hollow = (Sign(say("not equivalent to fp32 torch"), INK, marker="o", hollow=True),) if scatter.hollow else ()
    return (
        Key(say("engine"), tuple(Sign(cropped(name, 24), colours[name], marker="o", size=8) for name in engines)),
        Key(
            say("family") if across else say("precision"),
            tuple(Sign(say(name) if across else cropped(name, 24), INK, shape) for name, shape in shapes.items()),
        ),
        Key(say("weights"), _size_signs(scatter)),
        Key("", hollow),
    )


def _markers(every: Sequence[Row], across: bool) -> Callable[[Row], str]:
    """The shape of a point: its family's where several are drawn, its precision's otherwise."""
    if across:
        return lambda row: FAMILY_MARKERS.get(row.subject.family, "D")
    shapes = precision_markers([each.subject.precision for each in every])
    return lambda row: shapes[row.subject.precision]


def _diameters(scatter: Scatter) -> dict[str, float]:
    """Points across by variant: areas go with the bytes of weights, but none is too small to be seen."""
    largest = _largest(scatter)
    return {row.variant: _diameter(row.value("weights_bytes") or 0.0, largest, scatter) for row in scatter.rows}


def _diameter(size: float, largest: float, scatter: Scatter) -> float:
    widest, least = (22.0, 6.0) if len(scatter.rows) <= 60 else (12.0, 3.5)
    return max(round(2 * widest * math.sqrt(size / largest)) / 2, least) if largest else 8.0


def _largest(scatter: Scatter) -> float:
    return max((row.value("weights_bytes") or 0.0 for row in scatter.rows), default=0.0)


def _size_signs(scatter: Scatter) -> tuple[Sign, ...]:
    """Up to three round sizes that are drawn to scale."""
    largest = _largest(scatter)
    if not largest:
        return ()
    signs = {}
    for size in (largest / 25, largest / 5, largest):
        scale = scale_of([size], "bytes")
        step = 10.0 ** math.floor(math.log10(size / scale.size))
        shown = max(digit for digit in (1, 2, 5) if digit * step * scale.size <= size * 1.000001) * step
        diameter = _diameter(shown * scale.size, largest, scatter)
        signs[diameter] = Sign(number_and_unit(round_number(shown, step), scale.name), MUTED, "o", diameter)
    return tuple(signs.values())


def _alt(scatter: Scatter) -> str:
    return say(
        "{count} variants by {quality} and {speed}; on the front: {front}.",
        count=len(scatter.rows),
        quality=say(METRICS[scatter.quality].title),
        speed=say(METRICS[scatter.speed].title),
        front=", ".join(cropped_name(row) for row in scatter.front[:_MOST_LABELS]) or say("none"),
    )
