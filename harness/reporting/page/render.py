"""The report of a run as one HTML file, which needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.language.say import say, spoken_language
from harness.records.stored_run import StoredRun
from harness.reporting.document import Block, Bullets, CodeBlock, Details, Heading, Paragraph
from harness.reporting.page.drawing import drawing
from harness.reporting.page.inline import inline, text_of
from harness.reporting.plots.theme import Plot
from harness.reporting.report import report_blocks
from harness.reporting.table import NOTHING, Cell, Column, Entry, Header, Table
from harness.selection.claims import Judged

if TYPE_CHECKING:
    from jinja2 import Environment

_IN_CONTENTS = (2, 3)
"""Levels of the headings that the table of contents lists."""
_KINDS = (Heading, Paragraph, Bullets, CodeBlock, Details, Table, Plot)


@dataclass(frozen=True)
class Section:
    """A heading, the name by which it is linked to, and what stands under it up to the next heading. What stands before
    the first heading has level 0."""

    level: int
    title: Markup
    anchor: str
    blocks: tuple[Block, ...]


def report_html(run: StoredRun, claims: Sequence[Judged] = ()) -> str:
    """The whole report with its plots; ``claims`` are judged on the same run."""
    blocks = report_blocks(run, claims)
    titles = [block.text for block in blocks if isinstance(block, Heading) and block.level == 1]
    return to_html(blocks, text_of(titles[0]) if titles else run.name, spoken_language())


def to_html(blocks: Sequence[Block], title: str, language: str) -> str:
    """Blocks as a page. ``title``, in plain words, names its tab; ``language`` is a code such as ``en``.

    Raises ValueError for a plot that would run or load something.
    """
    script = _file("script.js")
    sections = _sections(blocks)
    page: str = (
        _environment()
        .get_template("template.html")
        .render(
            title=title,
            language=language,
            style=Markup(_file("style.css")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            sections=sections,
            contents=[section for section in sections if section.level in _IN_CONTENTS],
            words={
                "contents": say("Contents"),
                "filter": say("Filter"),
                # The script fills the places in, as often as a reader types.
                "counted": say("{shown} of {all} lines"),
                "higher": say("higher is better"),
                "lower": say("lower is better"),
            },
        )
    )
    return page


def _sections(blocks: Iterable[Block]) -> list[Section]:
    found: list[tuple[Heading | None, list[Block]]] = [(None, [])]
    for block in blocks:
        if isinstance(block, Heading):
            found.append((block, []))
        else:
            found[-1][1].append(block)
    taken: set[str] = set()
    return [_section(heading, inside, taken) for heading, inside in found if heading or inside]


def _section(heading: Heading | None, blocks: Sequence[Block], taken: set[str]) -> Section:
    if heading is None:
        return Section(0, Markup(), "", tuple(blocks))
    name = re.sub(r"\W+", "-", text_of(heading.text).lower()).strip("-") or "section"
    anchor, number = name, 1
    while anchor in taken:
        number += 1
        anchor = f"{name}-{number}"
    taken.add(anchor)
    return Section(heading.level, inline(heading.text), anchor, tuple(blocks))


def _shown(entry: Entry) -> Markup:
    """The inside of a cell; the best of a column is told by its weight."""
    if not isinstance(entry, Cell):
        return inline(entry)
    return Markup("<strong>{}</strong>").format(inline(entry.text)) if entry.best else inline(entry.text)


def _marks(entry: Entry) -> Markup:
    """The attributes of a cell: what the script sorts it by, and what the style tells apart."""
    if not isinstance(entry, Cell):
        return Markup(" data-empty") if entry in ("", NOTHING) else Markup()
    if entry.empty:
        return Markup(" data-empty")
    marks = "" if entry.value is None or math.isnan(entry.value) else f' data-value="{_number(entry.value)}"'
    return Markup(marks + " data-best" * entry.best)


def _number(value: float) -> str:
    """A number as JavaScript reads it."""
    return str(value) if math.isfinite(value) else f"{'-' * (value < 0)}Infinity"


def _better(header: Header) -> str:
    """Which direction of a column is better: ``higher``, ``lower`` or neither."""
    direction = header.higher_is_better if isinstance(header, Column) else None
    return {True: "higher", False: "lower", None: ""}[direction]


@cache
def _file(name: str) -> str:
    return (files("harness.reporting.page") / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    made = Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"inline": inline, "drawing": drawing, "shown": _shown, "marks": _marks, "better": _better}
    made.tests |= {kind.__name__.lower(): lambda block, kind=kind: isinstance(block, kind) for kind in _KINDS}
    return made
