"""Lines of several variants or candidates in one pair of axes, each named at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.reporting.plots.labels import label_ends
from harness.reporting.plots.sheet import EDGE
from harness.reporting.plots.theme import SMALL, cropped, flat, hover, line_look, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 12
"""Lines of a plot at most."""
_COLUMN = 26.0


@dataclass(frozen=True)
class Line:
    """Points in data coordinates, and what is said of the line when it is pointed at."""

    name: str
    points: tuple[tuple[float, float], ...]
    words: str = ""

    @property
    def label(self) -> str:
        """The name as it stands at the end of the line."""
        return cropped(self.name, 30)


def names_width(lines: Sequence[Line]) -> float:
    """Points right of the axes that the names need."""
    return _COLUMN + max(text_width(line.label, SMALL) for line in lines) + EDGE


def paint_lines(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw lines and write their names, with their signs, right of the axes, whose limits must be set."""
    from matplotlib.transforms import IdentityTransform

    for index, line in enumerate(lines):
        look: dict[str, Any] = line_look(index)
        axes.plot(*zip(*line.points, strict=True), gid=hover(f"{flat(line.name)}\n{line.words}"), zorder=3, **look)
    signs = label_ends(axes, [line.points[-1] for line in lines], [line.label for line in lines])
    for index, (x, y) in enumerate(signs):
        axes.plot([x], [y], transform=IdentityTransform(), clip_on=False, **line_look(index))
