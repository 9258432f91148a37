"""Numbers as people read them; values are stored exactly and rounded here only."""

from __future__ import annotations

_SCALED = ("bytes", "bytes/s", "s", "op", "op/s", "parameters", "fraction")
_BYTES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_DECIMAL = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))
_RATES = {"bytes/s": "B/s", "op": "op", "op/s": "op/s"}


def quantity(value: float, unit: str) -> str:
    """A value with its unit: three or four significant digits, bytes, seconds and operations in a size that fits."""
    if unit == "bytes":
        for name, size in _BYTES:
            if abs(value) >= size:
                return f"{significant(value / size)} {name}"
        return f"{value:.0f} B"
    if unit in _RATES:
        prefix, scale = next((each for each in _DECIMAL if abs(value) >= each[1]), ("", 1.0))
        return f"{significant(value / scale)} {prefix}{_RATES[unit]}"
    if unit == "s":
        return f"{significant(value)} s" if abs(value) >= 1 else f"{significant(value * 1000)} ms"
    if unit == "parameters":
        return f"{significant(value / 1e6)} M"
    if unit == "fraction":
        return f"{value:.2%}" if 0.99 <= value < 1 else f"{value:.1%}"
    return significant(value) if unit in ("perplexity", "") else f"{significant(value)} {unit}"


def with_interval(value: float, low: float | None, high: float | None, unit: str) -> str:
    """A value with its interval and its unit once: ``1,036 [727, 1,414] tokens/s``; no interval where there is none."""
    if low is None or high is None or low == high:
        return quantity(value, unit)
    if unit in _SCALED:
        return f"{quantity(value, unit)} [{quantity(low, unit)}, {quantity(high, unit)}]"
    shown = f"{significant(value)} [{significant(low)}, {significant(high)}]"
    return f"{shown} {unit}" if unit not in ("perplexity", "") else shown


def significant(value: float) -> str:
    """Three significant digits, four from 1 to 10; whole numbers with thousands separators from 1,000 on."""
    size = abs(value)
    if size >= 999.5:
        return f"{value:,.0f}"
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 9.9995:
        return f"{value:.1f}"
    return f"{value:.3g}" if size < 1 else f"{value:.3f}"
