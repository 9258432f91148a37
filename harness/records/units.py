"""Numbers as people read them; values are stored exactly and rounded here only.

Where a value has an interval, its half-width sets the digits: two significant ones of it, as an uncertainty is usually
stated (GUM, JCGM 100:2008, 7.2.6), and the value ends at the same place; an interval that is wider than its value is
rounded as the value is. Where there is none, three or four significant digits stand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.language.say import digits, say

_BYTES = (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10))
_DECIMAL = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))
_RATES = {"bytes/s": "B/s", "op": "op", "op/s": "op/s"}
_NO_UNIT = ("perplexity", "ratio", "text", "")
_MOST_DIGITS = 6
"""Significant digits of a value at most, however narrow its interval is."""

_SMALL = 1e-4
"""Below this numbers are written with a power of ten."""


@dataclass(frozen=True)
class Scale:
    """A unit in a size that fits: a value is shown as ``value / size`` ``name``."""

    name: str
    size: float = 1.0


def scale_of(values: Iterable[float], unit: str) -> Scale:
    """The size of a unit in which the middle one of some values reads well: MiB of bytes, ms of seconds."""
    ordered = sorted(abs(value) for value in values if math.isfinite(value))
    middle = ordered[len(ordered) // 2] if ordered else 0.0
    if unit == "bytes":
        return next((Scale(say(name), size) for name, size in _BYTES if middle >= size), Scale(say("B")))
    if unit in _RATES:
        prefix, size = next((each for each in _DECIMAL if middle >= each[1]), ("", 1.0))
        return Scale(prefix + say(_RATES[unit]), size)
    if unit == "s":
        return Scale(say("s")) if middle >= 1 or middle == 0 else Scale(say("ms"), 1e-3)
    if unit == "parameters":
        return Scale(say("M"), 1e6)
    if unit == "fraction":
        return Scale("%", 0.01)
    return Scale("" if unit in _NO_UNIT else say(unit))


def in_scale(value: float, low: float | None, high: float | None, scale: Scale, ends: bool = True) -> str:
    """A value without its unit, rounded by its interval: ``1,040 [730, 1,410]``, or ``1,040`` without the ends."""
    shown, below, above = (None if each is None else each / scale.size for each in (value, low, high))
    assert shown is not None
    if below is None or above is None or below == above:
        return _share(shown) if scale.name == "%" else significant(shown)
    places = _places(shown, (above - below) / 2)
    rounded = [_rounded(each, places) for each in ((shown, below, above) if ends else (shown,))]
    if not ends:
        return rounded[0]
    return say("{value} [{low}, {high}]", value=rounded[0], low=rounded[1], high=rounded[2])


def quantity(value: float, unit: str) -> str:
    """A value with its unit: three or four significant digits, bytes, seconds and operations in a size that fits."""
    return with_interval(value, None, None, unit)


def with_interval(value: float, low: float | None, high: float | None, unit: str) -> str:
    """A value with its interval and its unit once: ``1,040 [730, 1,410] tokens/s``; no interval where there is none."""
    scale = scale_of([value], unit)
    shown = in_scale(value, low, high, scale)
    if unit == "bytes" and scale.size == 1.0 and low is None:
        shown = digits(f"{value:,.0f}")
    return number_and_unit(shown, scale.name)


def number_and_unit(number: str, unit: str) -> str:
    """A number with its unit, where it has one: ``12 ms``. French keeps both on one line."""
    return say("{number} {unit}", number=number, unit=unit) if unit else number


def significant(value: float) -> str:
    """Three significant digits, four from 1 to 10; whole numbers with thousands separators from 1,000 on."""
    size = abs(value)
    if size >= 999.5:
        return digits(f"{value:,.0f}")
    if size >= 99.95:
        return digits(f"{value:.0f}")
    if size >= 9.9995:
        return digits(f"{value:.1f}")
    return digits(f"{value:.3g}" if size < 1 else f"{value:.3f}")


def _share(percent: float) -> str:
    """A share without an interval: one decimal, two where it nears all."""
    return digits(f"{percent:.2f}" if 99 <= percent < 100 else f"{percent:.1f}")


def _places(value: float, half_width: float) -> int | None:
    """How many decimals show two significant digits of half an interval, or of the value where the interval is wider
    than that; below 0 for tens and hundreds, None where nothing can be said."""
    if not (math.isfinite(half_width) and math.isfinite(value)) or half_width <= 0:
        return None
    places = 1 - math.floor(math.log10(min(half_width, abs(value) or half_width)))
    return places if value == 0 else min(places, _MOST_DIGITS - 1 - math.floor(math.log10(abs(value))))


def _rounded(value: float, places: int | None) -> str:
    if places is None or not math.isfinite(value):
        return significant(value)
    if 0 < abs(value) < _SMALL:
        return digits(f"{value:.{max(places + math.floor(math.log10(abs(value))), 0)}e}")
    if value == 0 and places > _MOST_DIGITS:
        return "0"
    rounded = round(value, places) + 0.0  # no -0.00 for what is rounded up to nothing
    return digits(f"{rounded:,.{max(places, 0)}f}")
