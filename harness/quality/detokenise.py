"""WikiText as people write: the same changes that lm-evaluation-harness makes before it scores WikiText."""

from __future__ import annotations

import re

_BEFORE = (
    ("s '", "s'"),
    (" @-@ ", "-"),
    (" @,@ ", ","),
    (" @.@ ", "."),
    *((f" {mark} ", f"{mark} ") for mark in ":;.!?,"),
)
_ENCLOSED = tuple(
    (re.compile(rf"{opening}\s*([^{closing}]*?)\s*{closing}"), f"{left}\\1{right}")
    for opening, closing, left, right in (
        (r"\(", r"\)", "(", ")"),
        (r"\[", r"\]", "[", "]"),
        (r"{", r"}", "{", "}"),
        ('"', '"', '"', '"'),
        ("'", "'", "'", "'"),
    )
)
_AFTER = (
    ("= = = =", "===="),
    ("= = =", "==="),
    ("= =", "=="),
    (" ° ", "°"),
    (" \n", "\n"),
    ("\n ", "\n"),
    (" N ", " 1 "),
    (" 's", "'s"),
)


def detokenise_wikitext(text: str) -> str:
    """Undo WikiText's word tokenisation, in the order and with the quirks of lm-evaluation-harness 0.4 (its task
    ``wikitext``), so that the same tokens are scored: punctuation, number marks, brackets, quotes, headings."""
    for old, new in _BEFORE:
        text = text.replace(old, new)
    for pattern, new in _ENCLOSED:
        text = pattern.sub(new, text)
    for old, new in _AFTER:
        text = text.replace(old, new)
    return text
