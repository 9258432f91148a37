"""What a block asks for, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from harness.errors import HarnessError, nearest
from harness.language.markup import plain
from harness.language.say import retell, say, speaking
from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.reporting import quality, sections, training
from harness.reporting.claims import claims_table
from harness.reporting.docs.request import Request
from harness.reporting.docs.sources import Source
from harness.reporting.metric_table import WORDS, metric_table
from harness.selection.claims import judge
from harness.selection.recommend import recommend
from harness.selection.use_cases import use_cases_of
from harness.selection.words import paragraph

_SHOWN = 8
"""How many variants an error names at most."""


def table_markdown(request: Request, source: Source) -> str:
    """The table of a run, without an empty line before or after it.

    Raises HarnessError for a pattern that matches no variant, a metric that none of the rows has, a use case that is
    not the suite's, and a run that has nothing to show in such a table.
    """
    with speaking(request.language):
        parts = _MAKERS[request.table](request, source)
    if not parts:
        raise HarnessError(f"run '{source.name}' has nothing to show in table={request.table}")
    return "\n\n".join(parts)


def chosen_rows(rows: Sequence[Row], request: Request) -> list[Row]:
    """The rows that the patterns of a request name, in its order, no more than its limit.

    Rows without a value of the metric that they are sorted by come last.
    """
    chosen = _matching(rows, request.rows)
    if request.sort in METRICS:
        _refuse_unmeasured(chosen, request.sort)
        having = [row for row in chosen if request.sort in row.metrics]
        ordered = sorted(having, key=lambda row: row.metrics[request.sort].estimate.value, reverse=request.descending)
        chosen = [*ordered, *(row for row in chosen if request.sort not in row.metrics)]
    elif request.sort:
        chosen = sorted(chosen, key=WORDS[request.sort], reverse=request.descending)
    return chosen[: request.limit]


def _matching(rows: Sequence[Row], patterns: Sequence[str]) -> list[Row]:
    """Rows that a pattern matches and none with ``!`` before it; where all have that, of all rows."""
    names = [row.variant for row in rows]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern.removeprefix("!")) for name in names):
            more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
            there = ", ".join([*names[:_SHOWN], *more]) or "none"
            raise HarnessError(f"the pattern '{pattern}' matches no variant; there are {there}")
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    unwanted = [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]
    left = [
        row
        for row in rows
        if any(fnmatchcase(row.variant, pattern) for pattern in wanted)
        and not any(fnmatchcase(row.variant, pattern) for pattern in unwanted)
    ]
    if rows and not left:
        raise HarnessError(f"no variant is left by rows={','.join(patterns)}")
    return left


def _refuse_unmeasured(rows: Sequence[Row], metric: str) -> None:
    if not any(metric in row.metrics for row in rows):
        raise HarnessError(f"none of the {len(rows)} rows has the metric '{metric}'")


def _comparison(request: Request, source: Source) -> list[str]:
    rows = chosen_rows(source.rows, request)
    if not request.own_columns:
        table = sections.comparison_table(rows)
    else:
        for metric in request.metrics:
            _refuse_unmeasured(rows, metric)
        table = metric_table(rows, request.metrics, intervals=request.intervals, lead=request.lead, trail=request.trail)
    return [table.markdown()] if table else []


def _speed(request: Request, source: Source) -> list[str]:
    tables = sections.speed_tables(chosen_rows(source.rows, request))
    return [part for title, table in tables for part in (f"**{title}**", table.markdown())]


def _quality(request: Request, source: Source) -> list[str]:
    rows = chosen_rows(source.rows, request)
    parts = []
    if across := quality.across_families(rows):
        parts += [f"**{say('Across families')}**", across.markdown()]
    for title, protocol, table in quality.family_tables(rows):
        parts += [f"**{title}**", say("Protocol: {protocol}", protocol=protocol), table.markdown()]
    return parts


def _recommendation(request: Request, source: Source) -> list[str]:
    cases = use_cases_of(source.info.get("suite", {}))
    titles = [case.title for case in cases]
    if request.case and request.case not in titles:
        raise HarnessError(f"there is no use case '{request.case}'{nearest(request.case, titles)}")
    return [
        f"**{plain(retell(case.title))}.** {paragraph(recommend(source.rows, case), source.rows)}"
        for case in cases
        if request.case in ("", case.title)
    ]


def _claims(request: Request, source: Source) -> list[str]:
    from harness.selection.claims_file import shipped_claims  # brings pydantic

    table = claims_table(judge(shipped_claims(), source.rows))
    return [table.markdown()] if table else []


def _training(request: Request, source: Source) -> list[str]:
    records = [record for record in source.records if record.fact and record.fact.metric == "validation_loss"]
    if records and not any(record.fact and record.fact.samples for record in records):
        raise HarnessError(f"baseline '{source.name}' has no curves of training; name the folder of a run")
    table = training.losses_table(source.records)
    words = training.training_conclusions(source.records)
    return [table.markdown(), "\n".join(f"- {each}" for each in words)] if table else []


_MAKERS: dict[str, Callable[[Request, Source], list[str]]] = {
    "comparison": _comparison,
    "speed": _speed,
    "quality": _quality,
    "recommendation": _recommendation,
    "claims": _claims,
    "training": _training,
}
