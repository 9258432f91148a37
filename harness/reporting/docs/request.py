"""What a marker asks for: its settings, checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import HarnessError, nearest
from harness.language.say import LANGUAGES
from harness.records.metrics import METRICS
from harness.reporting.metric_table import WORDS

ANY_TABLE = ("run", "table", "lang")
"""Settings that every table takes, besides its name."""
TAKES: dict[str, tuple[str, ...]] = {
    "comparison": ("columns", "intervals", "rows", "sort", "limit"),
    "speed": ("rows", "sort", "limit"),
    "quality": ("rows",),
    "recommendation": ("case",),
    "claims": (),
    "training": (),
}
"""The tables that there are, and what more each may be told."""
_NOT_OF_ROWS = ("training", "sample", "sweep")
"""Measures that rows do not carry."""
_UNIT = re.compile(r"_(tokens_per_second|seconds|bytes|per_token)(?=_|$)")


@dataclass(frozen=True)
class Request:
    """A table of a run. ``lead`` and ``trail`` are names of columns before and after the ``metrics``; all three are
    empty where the table has columns of its own. ``rows`` are patterns of variants, ``case`` is the title of a use
    case, and ``sort`` a metric or the name of a column."""

    run: str
    table: str = "comparison"
    lead: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    trail: tuple[str, ...] = ()
    intervals: bool = True
    rows: tuple[str, ...] = ()
    sort: str = ""
    descending: bool = False
    limit: int | None = None
    case: str = ""
    language: str = "en"

    @property
    def own_columns(self) -> bool:
        """Whether the columns were named."""
        return bool(self.lead or self.metrics or self.trail)


def read_request(settings: Mapping[str, str]) -> Request:
    """The request of a marker. Raises HarnessError that says what was expected."""
    table = settings.get("table", "comparison")
    if table not in TAKES:
        raise HarnessError(f"unknown table '{table}'{nearest(table, TAKES)}")
    takes = (*ANY_TABLE, *TAKES[table])
    for key, value in settings.items():
        if key not in takes:
            if any(key in others for others in TAKES.values()):
                raise HarnessError(f"table={table} takes no '{key}'; it takes {', '.join(takes)}")
            raise HarnessError(f"unknown key '{key}'{nearest(key, ('name', *takes))}")
        if not value.strip():
            raise HarnessError(f"'{key}' has no value")
    if "run" not in settings:
        raise HarnessError("no run is named; expected run=PATH of a run's folder or of a baseline, from this file on")
    if "intervals" in settings and "columns" not in settings:
        raise HarnessError("'intervals' goes with 'columns'")
    sort = settings.get("sort", "")
    lead, metrics, trail = _columns(settings["columns"]) if "columns" in settings else ((), (), ())
    return Request(
        settings["run"],
        table,
        lead,
        metrics,
        trail,
        _yes_or_no("intervals", settings.get("intervals", "yes")),
        _listed("rows", settings["rows"]) if "rows" in settings else (),
        _column(sort.removeprefix("-")) if sort else "",
        sort.startswith("-"),
        _limit(settings["limit"]) if "limit" in settings else None,
        settings.get("case", ""),
        _language(settings.get("lang", "en")),
    )


def short_names() -> dict[str, str]:
    """Metrics by what they may be called: their names, and these without the unit where only one is left so."""
    full = [name for name, metric in METRICS.items() if metric.measure not in _NOT_OF_ROWS]
    shortened = {name: _UNIT.sub("", name) for name in full}
    times = Counter(shortened.values())
    short = {short: name for name, short in shortened.items() if times[short] == 1 and short not in METRICS}
    return short | {name: name for name in full}


def _columns(text: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Columns before the metrics, metrics, and columns after them."""
    named = [_column(each) for each in _listed("columns", text)]
    if twice := next((name for name, count in Counter(named).items() if count > 1), None):
        raise HarnessError(f"column '{twice}' is named twice")
    places = [index for index, name in enumerate(named) if name in METRICS]
    if not places:
        return tuple(named), (), ()
    first, last = places[0], places[-1] + 1
    if between := next((name for name in named[first:last] if name not in METRICS), None):
        raise HarnessError(f"column '{between}' stands between metrics; it may stand before or after them")
    return tuple(named[:first]), tuple(named[first:last]), tuple(named[last:])


def _column(text: str) -> str:
    metrics = short_names()
    name = metrics.get(text, text)
    if name in WORDS or name in metrics:
        return name
    raise HarnessError(f"unknown column or metric '{text}'{_hint(text, {*WORDS, *metrics})}")


def _hint(text: str, known: set[str]) -> str:
    """The nearest name; all of them would be too many for a line."""
    hint = nearest(text, known)
    return hint if "did you mean" in hint else "; see: harness list metrics"


def _listed(key: str, text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    if not all(part.removeprefix("!") for part in parts):
        raise HarnessError(f"'{key}' has an empty part: '{text}'")
    return parts


def _limit(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise HarnessError(f"limit={text}: expected how many rows are shown at most, such as 10")
    return int(text)


def _yes_or_no(key: str, text: str) -> bool:
    if text not in ("yes", "no"):
        raise HarnessError(f"{key}={text}: expected yes or no")
    return text == "yes"


def _language(text: str) -> str:
    if text not in LANGUAGES:
        raise HarnessError(f"lang={text}: expected {' or '.join(LANGUAGES)}")
    return text
