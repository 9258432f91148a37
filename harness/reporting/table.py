"""The one way to render a table."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate


@dataclass(frozen=True)
class Table:
    """A table as data: headers, and cells as text. ``numeric`` names the columns that are aligned to the right."""

    headers: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    left: int = 1

    def markdown(self) -> str:
        """A GitHub Markdown table; the first ``left`` columns are aligned to the left, the others to the right."""
        cells = [[escape(cell) for cell in line] for line in self.lines]
        align = ["left" if index < self.left else "right" for index in range(len(self.headers))]
        text: str = tabulate(cells, [escape(h) for h in self.headers], "pipe", disable_numparse=True, colalign=align)
        return text


def escape(text: str) -> str:
    """Text that stays inside its Markdown cell: no line breaks, no control characters, no bars, no HTML; code in
    backquotes stays code."""
    flat = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return html.escape(flat, quote=False).replace("|", "\\|")


def without_empty_columns(headers: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> Table:
    """A table without the columns in which no line says anything."""
    kept = [i for i in range(len(headers)) if i < left or any(line[i] not in ("", "–") for line in lines)]
    return Table(tuple(headers[i] for i in kept), tuple(tuple(line[i] for i in kept) for line in lines), left)
