"""The one way to render a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from harness.language.markup import plain

NOTHING = "–"
"""What stands in a cell of which there is nothing to say."""


@dataclass(frozen=True)
class Column:
    """A header: a title in plain words, the unit of its cells, and which direction is better (None: neither)."""

    title: str
    unit: str = ""
    higher_is_better: bool | None = None

    def __str__(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        arrow = {True: "\u00a0↑", False: "\u00a0↓", None: ""}[self.higher_is_better]  # never on a line of its own
        return f"{self.title}{unit}{arrow}"


@dataclass(frozen=True)
class Cell:
    """A cell: inline Markdown, the number that it sorts by, and whether it is the best of its column or tied with it.
    ``empty`` cells say only why there is no value."""

    text: str
    value: float | None = None
    best: bool = False
    empty: bool = False

    def __str__(self) -> str:
        return f"**{self.text}**" if self.best else self.text


Header = str | Column
"""Plain words, or a column of numbers."""
Entry = str | Cell
"""What stands in a cell: inline Markdown, or a number as it is shown."""


@dataclass(frozen=True)
class Table:
    """A table as data: headers (plain words or columns), and lines of cells, whose text is inline Markdown. The first
    ``left`` columns are aligned to the left, the others to the right."""

    headers: tuple[Header, ...]
    lines: tuple[tuple[Entry, ...], ...]
    left: int = 1

    def markdown(self) -> str:
        """A GitHub Markdown table."""
        cells = [[_in_cell(str(cell)) for cell in line] for line in self.lines]
        headers = [_in_cell(plain(str(header))) for header in self.headers]
        align = ["left" if index < self.left else "right" for index in range(len(self.headers))]
        text: str = tabulate(cells, headers, "pipe", disable_numparse=True, colalign=align)
        return text


def without_empty_columns(headers: Sequence[Header], lines: Sequence[Sequence[Entry]], left: int = 1) -> Table:
    """A table without the columns in which no line says anything."""
    kept = [i for i in range(len(headers)) if i < left or any(not _is_empty(line[i]) for line in lines)]
    return Table(tuple(headers[i] for i in kept), tuple(tuple(line[i] for i in kept) for line in lines), left)


def _is_empty(cell: Entry) -> bool:
    return cell.empty if isinstance(cell, Cell) else cell in ("", NOTHING)


def _in_cell(text: str) -> str:
    """Inline Markdown that stays inside its cell: one line, and bars escaped, in code spans too (GFM, 4.10)."""
    return " ".join(text.split("\n")).replace("|", "\\|")
