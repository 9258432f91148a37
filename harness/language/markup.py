"""Inline Markdown: the one kind of text that reports are made of. What comes from outside goes through here."""

from __future__ import annotations

import html
import re

_SPECIAL = re.compile(r"([\\`*_\[\]~#])")
_BREAK = re.compile(r"[\s\x1c-\x1f\x85]+")
_KEPT = "\u00a0\u202f\u200d"
"""Spaces that do not break, which French numbers have, and the joiner of emoji."""


def plain(text: str) -> str:
    """Text from outside as inline Markdown that shows it letter by letter: one line, no control characters, no HTML, no
    emphasis, code or links."""
    return html.escape(_SPECIAL.sub(r"\\\1", _one_line(text)), quote=False).replace("|", "&#124;")


def code(text: str) -> str:
    """Text from outside, such as a name, as a code span; backquotes in it stay inside (CommonMark, 6.1)."""
    flat = _one_line(text) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def _one_line(text: str) -> str:
    words = _BREAK.sub(lambda found: found[0] if found[0] in _KEPT else " ", str(text)).strip()
    return "".join(letter for letter in words if letter.isprintable() or letter in _KEPT)
