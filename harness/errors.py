"""Errors that a user can act on: each is one line that says what is wrong, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_REGRESSED = 1
EXIT_BAD_INPUT = 2
EXIT_UNDECIDED = 3
EXIT_TASKS_FAILED = 4
EXIT_INTERRUPTED = 130


class HarnessError(Exception):
    """Bad input, configuration or data; printed as one line, without a traceback."""

    exit_code = EXIT_BAD_INPUT


class UnavailableError(HarnessError):
    """Something optional cannot be had here; what needs it is skipped with this reason."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a mistyped name: `` (did you mean 'x'?)``, or the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f" (did you mean '{close[0]}'?)"
    return f" (known: {', '.join(names)})" if names else ""
