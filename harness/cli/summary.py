"""The end of a run on the terminal: a compact table and who is recommended, in colour; plain when piped."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.records.rows import Row, make_rows
from harness.reporting.metric_table import metric_table
from harness.reporting.table import Cell, Column
from harness.selection.recommend import recommend
from harness.selection.use_cases import use_cases_of
from harness.selection.words import paragraph

if TYPE_CHECKING:
    from harness.records.run_folder import RunFolder

_METRICS = ("weights_bytes", "continuation_bits_per_byte", "prefill_tokens_per_second", "decode_tokens_per_second",
            "encode_tokens_per_second", "peak_memory_bytes")  # fmt: skip
_PIPED_WIDTH = 160
_SPAN = re.compile(r"(\*\*.+?\*\*|`+.+?`+)")


def print_summary(run: RunFolder) -> None:
    """Variants with their main figures, and the recommendation for each use case, on stdout."""
    rows = make_rows(run.records())
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)
    if table := _variants(rows):
        console.print(table)
    for case in use_cases_of(run.info.get("suite", {})):
        console.print(Text.assemble((case.title, "bold green"), "  ", *_styled(paragraph(recommend(rows, case), rows))))


def _variants(rows: Sequence[Row]) -> Table | None:
    found = metric_table(rows, _METRICS, intervals=False, trail=("status",))
    if found is None:
        return None
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, header in enumerate(found.headers):
        table.add_column(str(header), justify="left" if index < found.left else "right", no_wrap=index == 0)
    for row, line in zip(rows, found.lines, strict=True):
        style = "" if row.status == "ok" else "dim" if row.status == "skipped" else "red"
        table.add_row(*(_cell(cell) for cell in line), style=style)
    return table


def _cell(cell: str | Cell | Column) -> Text:
    if isinstance(cell, Cell):
        return Text(cell.text, style="bold green" if cell.best else "")
    return Text.assemble(*_styled(str(cell)))


def _styled(text: str) -> list[str | tuple[str, str]]:
    """Inline Markdown as styled pieces: names cyan, what is bold bold."""
    pieces: list[str | tuple[str, str]] = []
    for part in _SPAN.split(text):
        if part.startswith("**"):
            pieces.append((part.strip("*").strip("`"), "bold cyan"))
        elif part.startswith("`"):
            pieces.append((part.strip("`"), "cyan"))
        else:
            pieces.append(_unescaped(part))
    return pieces


def _unescaped(text: str) -> str:
    """Inline Markdown without its escapes and entities."""
    import html

    return html.unescape(re.sub(r"\\([\\`*_\[\]~#])", r"\1", text))
