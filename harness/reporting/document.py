"""A report as data: blocks, which are rendered as Markdown here and as HTML elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from harness.reporting.plots.theme import Plot
from harness.reporting.table import Table


@dataclass(frozen=True)
class Heading:
    """A heading of inline Markdown; the title of a report has level 1."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of inline Markdown."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list; each item is inline Markdown."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class CodeBlock:
    """Text that is shown as it is."""

    text: str


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away under a summary of plain words."""

    summary: str
    blocks: tuple[Block, ...]


Block = Heading | Paragraph | Bullets | CodeBlock | Details | Table | Plot


def markdown(blocks: Sequence[Block], plots: str) -> str:
    """GitHub Markdown; the plots are taken for files of their name in the folder ``plots``, a relative address."""
    return "\n\n".join(_markdown(block, plots) for block in blocks) + "\n"


def plots_of(blocks: Sequence[Block]) -> list[Plot]:
    """All plots of a report, those in details too."""
    found = []
    for block in blocks:
        if isinstance(block, Plot):
            found.append(block)
        elif isinstance(block, Details):
            found += plots_of(block.blocks)
    return found


def _markdown(block: Block, plots: str) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Bullets(items):
            return "\n".join(f"- {item}" for item in items)
        case CodeBlock(text):
            fence = "`" * max(3, 1 + _longest_run(text))
            return f"{fence}text\n{text}\n{fence}"
        case Details(summary, inside):
            body = "\n\n".join(_markdown(each, plots) for each in inside)
            return f"<details>\n<summary>{html.escape(summary, quote=False)}</summary>\n\n{body}\n\n</details>"
        case Table():
            return block.markdown()
        case Plot():
            alt = " ".join(block.alt.split()).replace("\\", "").replace("[", "(").replace("]", ")")
            return f"![{html.escape(alt, quote=False)}]({quote(plots)}/{block.name}.svg)"


def _longest_run(text: str) -> int:
    longest = run = 0
    for letter in text:
        run = run + 1 if letter == "`" else 0
        longest = max(longest, run)
    return longest
