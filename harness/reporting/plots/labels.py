"""Names beside points and at the ends of lines, so that none covers another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.reporting.plots.theme import HALO, MUTED, SMALL, text_width
from harness.reporting.plots.words import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]
"""Left, bottom, right and top in points."""

_HEIGHT = SMALL * 1.3
_NEAR = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.8), (0.7, -0.8), (-0.7, 0.8), (-0.7, -0.8))
"""Directions, right and up, in which a label may stand beside its point, the best first."""
_FAR = tuple((right * far, up * far) for far in (22, 38, 56) for right, up in
             ((0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1), (1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5)))  # fmt: skip
"""Points right and up at which a label may stand with a line to its point."""


def label_points(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    radii: Sequence[float],
    names: Sequence[str],
    order: Sequence[int],
    certain: int,
    most: int,
) -> int:
    """Write names beside points (in data coordinates; radii in points), in an order of importance, at most so many.

    A name stands where it is free and nearest to its own point. The first ``certain`` ones may stand further off, with
    a line to the point; one that finds no place is left out. Returns how many were written.
    """
    centres = [(float(x), float(y)) for x, y in axes.transData.transform(points)]
    taken: list[Box] = [(x - r, y - r, x + r, y + r) for (x, y), r in zip(centres, radii, strict=True)]
    inside = tuple(axes.get_window_extent().extents)
    leaders: list[tuple[tuple[float, float], tuple[float, float]]] = []
    written = 0
    for rank, index in enumerate(order):
        if written == most:
            break
        own, width = centres[index], text_width(names[index], SMALL) * 0.95
        reach = radii[index] + 4
        near = [(right * reach, up * (reach + (0 if right else _HEIGHT / 2))) for right, up in _NEAR]
        for number, (right, up) in enumerate([*near, *(_FAR if rank < certain else ())]):
            side = "left" if right > 0 else "right" if right < 0 else "center"
            box = _box(own[0] + right, own[1] + up, width, side)
            free = _holds(inside, box) and not any(_meet(box, other) for other in taken)
            if free and (number >= len(near) or _is_nearest(box, index, centres)):
                if number >= len(near):
                    start = min(max(own[0], box[0]), box[2]), box[1] if up > 0 else box[3]
                    leaders.append((start, own))
                _write(axes, own[0] + right, own[1] + up, names[index], side)
                taken.append(box)
                written += 1
                break
    _draw_leaders(axes, leaders)
    return written


def _box(x: float, y: float, width: float, side: str) -> Box:
    left = {"left": x, "right": x - width, "center": x - width / 2}[side]
    return left, y - _HEIGHT / 2, left + width, y + _HEIGHT / 2


def _is_nearest(box: Box, index: int, centres: Sequence[tuple[float, float]]) -> bool:
    """Whether no other point is about as near to a label as its own."""
    apart = [math.hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - y, 0, y - box[3])) for x, y in centres]
    return all(apart[index] < 0.8 * other for number, other in enumerate(apart) if number != index)


def label_ends(axes: Axes, ends: Sequence[tuple[float, float]], names: Sequence[str]) -> list[tuple[float, float]]:
    """Write names in a column right of the axes, each as near as may be to the end of its line (in data coordinates),
    with a thin line to it. Returns where the sign of each line has room before its name, in points."""
    centres = [(float(x), float(y)) for x, y in axes.transData.transform(ends)]
    extent = axes.get_window_extent()
    column = extent.x1 + 26
    places = spread([y for _, y in centres], _HEIGHT, extent.y0, extent.y1)
    for y, name in zip(places, names, strict=True):
        _write(axes, column, y, name, "left")
    starts = [(column - 13, y) for y in places]
    _draw_leaders(axes, list(zip(starts, [(x + 4, y) for x, y in centres], strict=True)))
    return [(column - 7, y) for y in places]


def _write(axes: Axes, x: float, y: float, name: str, side: str) -> None:
    figure = axes.get_figure(root=True)
    assert figure is not None
    write(figure, x, y, name, SMALL, side=side, gid=HALO)


def _draw_leaders(axes: Axes, leaders: Sequence[tuple[tuple[float, float], tuple[float, float]]]) -> None:
    """Thin lines between pairs of points of the figure."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import IdentityTransform

    xs = [x for (x0, _), (x1, _) in leaders for x in (x0, x1, math.nan)]
    ys = [y for (_, y0), (_, y1) in leaders for y in (y0, y1, math.nan)]
    line = Line2D(xs, ys, color=MUTED, linewidth=0.6, transform=IdentityTransform(), zorder=2.5)
    axes.add_artist(line)
    line.set_clip_on(False)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places at least ``gap`` apart and as near to the wanted ones as sliding neighbours together allows, within
    ``low`` to ``high`` where there is room for all."""

    def held(middle: float, count: int) -> float:
        half = (count - 1) * gap / 2
        return max(min(middle, high - half), low + half)

    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    groups: list[tuple[float, int]] = []  # the wanted middle of a run of labels that touch, and how many they are
    for index in order:
        middle, count = wanted[index], 1
        while groups and held(middle, count) - held(*groups[-1]) < (count + groups[-1][1]) * gap / 2:
            before, earlier = groups.pop()
            middle = (before * earlier + middle * count) / (earlier + count)
            count += earlier
        groups.append((middle, count))
    places = [0.0] * len(wanted)
    ordered = [held(*group) + (number - (group[1] - 1) / 2) * gap for group in groups for number in range(group[1])]
    for index, place in zip(order, ordered, strict=True):
        places[index] = place
    return places


def _holds(outer: Sequence[float], inner: Box) -> bool:
    return bool(inner[0] > outer[0] and inner[1] > outer[1] and inner[2] < outer[2] and inner[3] < outer[3])


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
