"""How plots look: colours for light and dark pages, sizes of letters, and the figure that each plot is drawn on.

Colours are Okabe and Ito's, which people with any of the usual colour vision deficiencies tell apart (Okabe & Ito 2008,
Color Universal Design); still no colour is the only sign of anything. What is drawn carries placeholder colours;
``svg.py`` turns them into classes that a light and a dark style sheet fill in.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from harness.reporting.plots.svg import SEPARATOR, themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#010203", "#010204", "#010205", "#010206"
SERIES = ("#010207", "#010208", "#010209", "#01020a", "#01020b", "#01020c", "#01020d")
"""Placeholder colours; ``COLOURS`` says what they stand for."""
COLOURS = {
    INK: ("#1f2328", "#e6edf3"),
    MUTED: ("#59636e", "#9198a1"),
    GRID: ("#d8dee4", "#30363d"),
    PAPER: ("#ffffff", "#0d1117"),
    SERIES[0]: ("#d55e00", "#d55e00"),
    SERIES[1]: ("#0072b2", "#56b4e9"),
    SERIES[2]: ("#009e73", "#009e73"),
    SERIES[3]: ("#cc79a7", "#cc79a7"),
    SERIES[4]: ("#e69f00", "#e69f00"),
    SERIES[5]: ("#3b3f45", "#c9d1d9"),
    SERIES[6]: ("#56b4e9", "#f0e442"),
}
"""Each placeholder on a light and on a dark page: blue and yellow change places with what is seen there."""
ENGINES = ("torch", "onnxruntime", "openvino", "llamacpp")
PRECISIONS = ("fp32", "bf16", "fp16", "int8", "int4")
FAMILY_MARKERS = {"causal": "o", "masked": "s", "seq2seq": "^"}
MARKERS = ("o", "D", "P", "v", "X", "s", "^", "*", "<", ">")
HATCHES = ("", "||", "--", "///", "xxx", "\\\\\\", "++", "//", "xx", "\\\\")
TITLE, TEXT, SMALL = 12.0, 9.0, 8.0
"""Sizes of letters in points."""
WIDTH = 8.6
"""Inches: 826 CSS pixels, which is what GitHub shows Markdown in."""


@dataclass(frozen=True)
class Plot:
    """A finished plot. ``name`` is a safe file stem, ``alt`` says in words what is to be seen."""

    name: str
    title: str
    alt: str
    svg: str


@contextmanager
def look() -> Iterator[None]:
    """Inside the block matplotlib's settings are its own defaults and ours, whatever a user's matplotlibrc says."""
    import matplotlib as mpl

    now: dict[str, Any] = dict(mpl.rcParams.items())
    wanted: dict[str, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if _is_look(key)} | _LOOK
    changed: Any = {key: value for key, value in wanted.items() if now[key] != value}
    with mpl.rc_context(changed):
        yield


def new_figure(width_inches: float, height_inches: float) -> tuple[Figure, Axes]:
    """An empty figure of our look with one pair of axes, not yet placed; call it, and draw, inside ``look``.

    A dot is a point (dpi 72), as in SVG, so that display coordinates are points.
    """
    from matplotlib.figure import Figure

    figure = Figure((width_inches, height_inches), dpi=72, facecolor=PAPER)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8), facecolor="none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def svg(figure: Figure, name: str, title: str, alt: str) -> str:
    """A figure as SVG that follows the reader's light or dark preference; the same bytes for the same figure.

    Text stays text: the reader's own fonts have letters and emoji that matplotlib's lacks, it can be searched and
    copied, and it is sharp and small.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    raw = StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(raw, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return themed(raw.getvalue(), name, title, alt, COLOURS, PAPER)


def hover(text: str) -> str:
    """A gid with which an artist shows a text when pointed at: escaped, whatever matplotlib makes of quotes."""
    return "hover:" + html.escape("\n".join(filter(None, (flat(line) for line in text.splitlines()))))


HALO = "halo"
"""The gid of text that stands out from lines behind it."""


def hovers(texts: Sequence[str]) -> str:
    """The same for a line that is markers alone: a text a marker, in their order."""
    return "hovers:" + SEPARATOR.join(hover(text).removeprefix("hover:") for text in texts)


def flat(text: str) -> str:
    """Text from outside on one line and without what XML or a font could not show."""
    return "".join(letter for letter in " ".join(str(text).split()) if letter.isprintable() or letter == "\u200d")


def cropped(text: str, most: int = 44) -> str:
    """Text on one line, its middle left out where it is longer than ``most`` letters."""
    line = flat(text)
    end = most * 6 // 10  # engine and precision stand at the end of a variant's name
    return line if len(line) <= most else f"{line[: most - end - 1]}…{line[-end:]}"


def text_width(text: str, size: float = TEXT) -> float:
    """The points that a text takes at most in the usual sans serif fonts, whatever font the reader has."""
    return sum(1.1 if unicodedata.east_asian_width(letter) in "WF" else 0.55 for letter in text) * size


def engine_colours(engines: Sequence[str]) -> dict[str, str]:
    """A colour an engine: those of this program always have the same."""
    return {name: SERIES[index % len(SERIES)] for name, index in _places(engines, ENGINES).items()}


def precision_hatches(precisions: Sequence[str]) -> dict[str, str]:
    """A pattern a precision."""
    return {name: HATCHES[index % len(HATCHES)] for name, index in _places(precisions, PRECISIONS).items()}


def precision_markers(precisions: Sequence[str]) -> dict[str, str]:
    """A marker a precision."""
    return {name: MARKERS[index % len(MARKERS)] for name, index in _places(precisions, PRECISIONS).items()}


def line_look(index: int) -> dict[str, Any]:
    """The look of the n-th of several lines: colour and marker change at different paces, so that 70 lines differ."""
    marker = MARKERS[index % len(MARKERS)]
    look: dict[str, Any] = {"color": SERIES[index % len(SERIES)], "marker": marker, "markersize": 5, "linewidth": 1.6}
    return {**look, "markeredgecolor": PAPER, "markeredgewidth": 0.6}


def _places(names: Sequence[str], known: Sequence[str]) -> dict[str, int]:
    """Where each name stands: known names first, in their order, then the others by alphabet."""
    ordered = [*known, *sorted(set(names) - set(known))]
    return {name: ordered.index(name) for name in sorted(set(names), key=ordered.index)}


def _is_look(key: str) -> bool:
    return key.split(".")[0] in _GROUPS


_GROUPS = ("axes", "figure", "font", "grid", "hatch", "lines", "markers", "patch", "path", "savefig", "svg", "text",
           "xtick", "ytick")  # fmt: skip
"""Settings of matplotlib that change how a plot looks."""
_LOOK: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.9,
    "svg.fonttype": "none",
    "svg.hashsalt": "harness",
}
