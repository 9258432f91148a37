"""The sheet that every plot stands on: title, a line on how to read it, the signs, the axes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.reporting.plots.legend import Key, Sign, draw_legend, legend_lines
from harness.reporting.plots.theme import MUTED, SMALL, TITLE, WIDTH, Plot, flat, look, new_figure, svg
from harness.reporting.plots.words import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EDGE = 14.0
"""Points that stay free around everything."""
_TITLE_LINE, _TEXT_LINE, _LEGEND_LINE, _GAP = 18.0, 12.0, 16.0, 8.0


@dataclass(frozen=True)
class Sheet:
    """What stands around the axes. ``left``, ``right`` and ``bottom`` are the points between the axes and the figure's
    edges, ``height`` those of the axes themselves; what is above them finds its own room."""

    name: str
    title: str
    alt: str
    how_to_read: str = ""
    keys: Sequence[Key] = ()
    left: float = 60.0
    right: float = EDGE
    bottom: float = 40.0
    height: float = 300.0

    @property
    def axes_width(self) -> float:
        """Points from the left to the right end of the axes."""
        return WIDTH * 72 - self.left - self.right


def draw(sheet: Sheet, paint: Callable[[Axes], None]) -> Plot:
    """A plot: the sheet, and what ``paint`` draws into its axes."""
    width = WIDTH * 72
    lines = textwrap.wrap(flat(sheet.how_to_read), 134)
    signs = legend_lines(sheet.keys, width - 2 * EDGE)
    heights = [max(_LEGEND_LINE, *(item.size + 3 for _, item in line if isinstance(item, Sign))) for line in signs]
    head = EDGE + _TITLE_LINE + _TEXT_LINE * len(lines) + sum(heights) + _GAP + (4 if signs else 0)
    height = head + sheet.height + sheet.bottom
    with look():
        figure, axes = new_figure(WIDTH, height / 72)
        axes.set_position((sheet.left / width, sheet.bottom / height, sheet.axes_width / width, sheet.height / height))
        at = height - EDGE - TITLE * 0.8
        write(figure, EDGE, at + TITLE * 0.3, flat(sheet.title), TITLE, bold=True)
        for line in lines:
            at -= _TEXT_LINE + (_TITLE_LINE - _TEXT_LINE if line is lines[0] else 0)
            write(figure, EDGE, at + SMALL * 0.3, line, SMALL, MUTED)
        at -= 6 if lines else 10
        for placed, room in zip(signs, heights, strict=True):
            draw_legend(figure, placed, EDGE, at - room / 2)
            at -= room
        paint(axes)
        return Plot(sheet.name, sheet.title, sheet.alt, svg(figure, sheet.name, sheet.title, sheet.alt))
