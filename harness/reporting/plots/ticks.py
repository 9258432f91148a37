"""Axes with few, round ticks, which are written as all numbers of a report are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.language.say import digits, say
from harness.records.units import Scale, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def linear_ticks(axes: Axes, which: str, low: float, high: float, unit: str, most: int = 6) -> str:
    """Let an axis (``x`` or ``y``) go from ``low`` to ``high`` in even steps; the name of the unit of its ticks."""
    scale = scale_of([max(abs(low), abs(high))], unit)
    ticks = _even(low / scale.size, high / scale.size, most)
    _show(axes, which, low, high, ticks, scale, _gaps(ticks))
    return scale.name


def log_ticks(axes: Axes, which: str, low: float, high: float, unit: str) -> str:
    """The same by powers of ten, with 2 and 5 between them where there is room; ``low`` is above 0."""
    scale = scale_of([math.sqrt(low) * math.sqrt(high)], unit)
    first, last = low / scale.size, high / scale.size
    decades = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    for firsts in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [first_digit * 10.0**power for power in decades for first_digit in firsts]
        ticks = [tick for tick in ticks if first <= tick <= last]
        steps = [10.0 ** math.floor(math.log10(tick) + 1e-9) for tick in ticks]
        if len(ticks) >= 3:
            break
    else:
        ticks = _even(first, last, 6)
        steps = _gaps(ticks)
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    _show(axes, which, low, high, ticks, scale, steps)
    return scale.name


def with_unit(title: str, unit: str) -> str:
    """A title of an axis with the unit of its ticks."""
    return say("{title} ({unit})", title=title, unit=unit) if unit else title


def round_number(value: float, step: float) -> str:
    """A number that is a multiple of a step of 1, 2 or 5 times a power of ten, with the decimals of the step."""
    return digits(f"{value + 0.0:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}")


def _even(low: float, high: float, most: int) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(nbins=most, steps=[1, 2, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return [float(tick) for tick in found if low - slack <= tick <= high + slack]


def _show(
    axes: Axes, which: str, low: float, high: float, ticks: list[float], scale: Scale, steps: list[float]
) -> None:
    """Set ends and ticks, each written as finely as its step asks for."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    named = [round_number(tick, step) for tick, step in zip(ticks, steps, strict=True)]
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    axis.set_major_locator(FixedLocator([tick * scale.size for tick in ticks]))
    axis.set_major_formatter(FixedFormatter(named))
    axis.set_minor_locator(NullLocator())


def _gaps(ticks: list[float]) -> list[float]:
    """The even step of some ticks, once a tick."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) or 1.0 if ticks else 1.0
    return [step] * len(ticks)
