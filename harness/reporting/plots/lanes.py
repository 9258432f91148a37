"""Variants one below the other down the side of a plot, those of a candidate under its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.reporting.plots.sheet import EDGE
from harness.reporting.plots.theme import MUTED, cropped, flat, hover, text_width
from harness.reporting.plots.words import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 30
"""Variants of a plot at most."""
_LANE = 15.0
_INDENT = 10.0


@dataclass(frozen=True)
class Lane:
    """A line of the plot: a variant, or (``row`` None) the name of a candidate."""

    label: str
    row: Row | None
    indent: float = 0.0


def best_rows(rows: Sequence[Row], metric: str) -> list[Row]:
    """Measured rows that have a metric, at most ``MOST`` of them, the best; candidates stay together."""
    found = [row for row in rows if row.status == "ok" and metric in row.metrics]
    upwards = METRICS[metric].higher_is_better is not False
    kept = sorted(found, key=lambda row: row.metrics[metric].estimate.value, reverse=upwards)[:MOST]
    chosen = {row.variant for row in kept}
    candidates = dict.fromkeys(row.subject.candidate for row in found)
    return [row for name in candidates for row in found if row.subject.candidate == name and row.variant in chosen]


def make_lanes(rows: Sequence[Row]) -> list[Lane]:
    """A lane a row, and one for the name of each candidate that has several."""
    devices = {row.subject.device for row in rows}
    lanes = []
    for candidate in dict.fromkeys(row.subject.candidate for row in rows):
        mine = [row for row in rows if row.subject.candidate == candidate]
        if len(mine) > 1:
            lanes.append(Lane(cropped(candidate, 32), None))
            lanes += [Lane(cropped(way(row, devices), 32), row, _INDENT) for row in mine]
        else:
            lanes.append(Lane(cropped(f"{candidate}/{way(mine[0], devices)}", 44), mine[0]))
    return lanes


def way(row: Row, devices: set[str]) -> str:
    """How a candidate is run: engine and precision, the device where there are several, and the kind of machine."""
    subject = row.subject
    return "/".join((subject.engine, subject.precision, *((subject.device,) if len(devices) > 1 else ()))) + subject.at


def lanes_width(lanes: Sequence[Lane]) -> float:
    """Points from the figure's left edge to the axes, so that all labels fit."""
    return EDGE + max(lane.indent + text_width(lane.label) * (1.2 if lane.row is None else 1) for lane in lanes) + 8


def lanes_height(lanes: Sequence[Lane]) -> float:
    """Points of the axes."""
    return _LANE * len(lanes) + 6


def paint_lanes(axes: Axes, lanes: Sequence[Lane]) -> dict[str, float]:
    """Write the labels, the first lane on top; where on the y axis each variant lies."""
    from matplotlib.transforms import IdentityTransform, blended_transform_factory

    figure = axes.get_figure(root=True)
    assert figure is not None
    across = blended_transform_factory(IdentityTransform(), axes.transData)
    axes.set_ylim(len(lanes) - 0.3, -0.7)
    axes.set_yticks([])
    axes.spines["left"].set_color(MUTED)
    places = {}
    for y, lane in enumerate(lanes):
        gid = None if lane.row is None else hover(about(lane.row))
        write(figure, EDGE + lane.indent, y, lane.label, bold=lane.row is None, gid=gid, transform=across)
        if lane.row is not None:
            places[lane.row.variant] = float(y)
    return places


def about(row: Row, *lines: str) -> str:
    """What a variant says when pointed at: its whole name on a line, then these."""
    return "\n".join((flat(row.variant), *lines))
