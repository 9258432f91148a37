"""What the signs of a plot mean, in lines above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.reporting.plots.theme import INK, MUTED, PAPER, SMALL, text_width
from harness.reporting.plots.words import write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP, _HEADING_GAP, _KEY_GAP = 12.0, 7.0, 14.0


@dataclass(frozen=True)
class Sign:
    """A sign and what it means: a marker of a diameter in points, a line of a style, or a bar with a pattern."""

    label: str
    colour: str = INK
    marker: str = ""
    size: float = 7.0
    line: str = ""
    hatch: str | None = None
    hollow: bool = False

    @property
    def width(self) -> float:
        """Points from the left of the sign to the right of its label, and the gap after it."""
        return self.drawn_width + 5 + text_width(self.label, SMALL) + _GAP

    @property
    def drawn_width(self) -> float:
        """Points that the sign itself takes."""
        return max(self.size, 8.0) if self.marker and not self.line else 18.0


@dataclass(frozen=True)
class Key:
    """Signs that belong together, under a heading."""

    heading: str
    signs: tuple[Sign, ...]


Placed = tuple[float, str | Sign]
"""A heading or a sign with its left edge in points."""


def legend_lines(keys: Sequence[Key], width: float) -> list[list[Placed]]:
    """The signs from left to right, in as many lines of ``width`` points as they need; a heading stays with its first
    sign."""
    lines: list[list[Placed]] = [[]]
    left = 0.0
    for key in (key for key in keys if key.signs):
        heading = text_width(key.heading, SMALL) + _HEADING_GAP if key.heading else 0.0
        whole = heading + sum(sign.width for sign in key.signs)
        if left and left + (whole if whole <= width else heading + key.signs[0].width) > width:
            lines.append([])
            left = 0.0
        if key.heading:
            lines[-1].append((left, key.heading))
        left += heading
        for sign in key.signs:
            if lines[-1] and left + sign.width - _GAP > width:
                lines.append([])
                left = 0.0
            lines[-1].append((left, sign))
            left += sign.width
        left += _KEY_GAP
    return [line for line in lines if line]


def draw_legend(figure: Figure, placed: Sequence[Placed], x: float, y: float) -> None:
    """Draw a line of signs, its left end at ``x`` and its middle at ``y`` points of the figure."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import IdentityTransform

    points = IdentityTransform()  # a dot of the figure is a point
    for left, item in placed:
        at = x + left
        if isinstance(item, str):
            write(figure, at, y, item, SMALL, MUTED)
            continue
        if item.hatch is not None:
            box = Rectangle((at, y - 4), 18, 8, facecolor=item.colour, hatch=item.hatch, linewidth=0, transform=points)
            box.set_hatchcolor(PAPER)
            figure.add_artist(box)
        elif item.line:
            look: dict[str, Any] = {"color": item.colour, "linestyle": item.line, "linewidth": 1.4}
            figure.add_artist(Line2D([at, at + 18], [y, y], transform=points, **look))
        if item.marker:
            face, edge = (PAPER, item.colour) if item.hollow else (item.colour, PAPER)
            edge = item.colour if item.marker == "|" else edge
            wide = item.hollow or item.marker == "|"
            look = {"markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": 1.4 if wide else 0.6}
            middle = [at + item.drawn_width / 2]
            line = Line2D(middle, [y], marker=item.marker, markersize=item.size, linestyle="", transform=points, **look)
            figure.add_artist(line)
        write(figure, at + item.drawn_width + 5, y, item.label, SMALL)
