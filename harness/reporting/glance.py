"""A run at a glance, as notebooks show it: what it is, how its variants ended, and what it recommends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt

from harness.language.markup import code, plain
from harness.language.say import retell, say
from harness.records.rows import Row, make_rows
from harness.reporting.document import Block, Paragraph, markdown
from harness.reporting.metric_table import status
from harness.reporting.table import NOTHING, Table
from harness.selection.recommend import recommend
from harness.selection.use_cases import use_cases_of

if TYPE_CHECKING:
    from harness.records.stored_run import StoredRun


def glance_html(run: StoredRun) -> str:
    """A few lines of HTML: a paragraph, and a table of the use cases with the variant to use for each."""
    rows = make_rows(run.records())
    blocks: list[Block] = [Paragraph(_about(run, rows))]
    if table := _recommended(run.info.get("suite", {}), rows):
        blocks.append(table)
    html: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown(blocks, ""))
    return html


def _about(run: StoredRun, rows: Sequence[Row]) -> str:
    unknown = say("unknown")
    counts = Counter(status(row) for row in rows)
    return say(
        "Run **{run}** of suite {suite}, {date}; variants: {counts}.",
        run=code(run.name),
        suite=plain(str(run.info.get("suite_name", unknown))),
        date=plain(str(run.info.get("created", unknown))),
        counts=", ".join(say("{count} {status}", count=count, status=say(word)) for word, count in counts.items())
        or say("none yet"),
    )


def _recommended(suite: dict[str, Any], rows: Sequence[Row]) -> Table | None:
    lines = []
    for case in use_cases_of(suite):
        found = recommend(rows, case)
        variant = code(found.chosen.variant) if found.chosen else NOTHING
        tied = ", ".join(code(row.variant) for row in found.tied) or NOTHING
        lines.append((plain(retell(case.title)), variant, tied))
    titles = (say("use case"), say("recommended"), say("as good as far as can be told"))
    return Table(titles, tuple(lines), left=3) if lines else None
