"""Errors that a user can act on: each is one line that says what is wrong, where, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

EXIT_REGRESSED = 1
EXIT_BAD_INPUT = 2
EXIT_UNDECIDED = 3
EXIT_TASKS_FAILED = 4
EXIT_INTERRUPTED = 130

LONGEST = 1000
"""Letters of an error: what it quotes from a file may be as long as the file."""
_LINE_END = re.compile(r"\s*[\r\n]\s*")


class HarnessError(Exception):
    """Bad input, configuration or data; printed as one line, without a traceback."""

    exit_code = EXIT_BAD_INPUT

    def __init__(self, text: str, below: Sequence[str] = ()) -> None:
        """``below`` are further lines, where an error has a list to tell."""
        super().__init__(text)
        self.below = below

    def __str__(self) -> str:
        """One line that a terminal can show, whatever was quoted: control characters are spelled out."""
        return "\n  ".join(map(_one_line, (super().__str__(), *self.below)))


def _one_line(text: str) -> str:
    if len(text) <= LONGEST and text.isprintable():
        return text
    line = _LINE_END.sub(" ", text.strip())[: LONGEST + 1]
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


class UnavailableError(HarnessError):
    """Something optional cannot be had here; what needs it is skipped with this reason."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a mistyped name: `` (did you mean 'x'?)``, or the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f" (did you mean '{close[0]}'?)"
    return f" (known: {', '.join(names)})" if names else ""
