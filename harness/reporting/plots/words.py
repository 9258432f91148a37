"""Words in a plot, put where they are told to stand."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from harness.reporting.plots.theme import INK, TEXT

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Transform

_MIDDLE = 0.36
"""From the baseline to the middle of small letters and capitals, in sizes of the letters."""


def write(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    size: float = TEXT,
    colour: str = INK,
    side: str = "left",
    bold: bool = False,
    gid: str | None = None,
    transform: Transform | None = None,
) -> None:
    """Write words on one line with their middle at ``y`` and their ``side`` (left, right, center) at ``x``: points of
    the figure, or coordinates of a transform to them."""
    from matplotlib.transforms import Affine2D, IdentityTransform

    down = Affine2D().translate(0, -_MIDDLE * size)
    how: dict[str, Any] = {"ha": side, "size": size, "color": colour, "weight": "bold" if bold else "normal"}
    words = _words()(x, y, text, transform=(transform or IdentityTransform()) + down, gid=gid, **how)
    figure.add_artist(words)


@cache
def _words() -> type[Text]:
    """matplotlib's text without its measuring, which takes most of the time of a plot, and which warns of letters that
    matplotlib's font lacks: the reader's fonts draw them. Made on first use, because matplotlib is imported late."""
    from matplotlib.text import Text

    class Words(Text):
        def draw(self, renderer: Any) -> None:
            x, y = self.get_transform().transform(self.get_unitless_position())
            pen = renderer.new_gc()
            pen.set_foreground(self.get_color())
            renderer.open_group("text", self.get_gid())
            renderer.draw_text(pen, x, renderer.height - y, self.get_text(), self.get_fontproperties(), 0, mtext=self)
            renderer.close_group("text")
            pen.restore()

    return Words
