"""Inline Markdown as HTML. What came from outside was escaped by :mod:`harness.language.markup` before."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_NOTHING_SPECIAL = re.compile(r"[^\\`*_\[\]<>&\"\r\n\0]*")


@lru_cache(maxsize=10_000)
def inline(text: str) -> Markup:
    """Inline Markdown as HTML: code spans, emphasis and links. HTML in it is shown as text, pictures are not loaded,
    and links that run something stay text."""
    # Most cells of a table are numbers; a parser would take most of the time of a report over them.
    if _NOTHING_SPECIAL.fullmatch(text):
        return Markup(text)
    return Markup(_parser().renderInline(text))


def text_of(markdown: str) -> str:
    """What a reader sees of inline Markdown, as text without any markup."""
    return inline(markdown).striptags()


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).disable(["image", "autolink"])
