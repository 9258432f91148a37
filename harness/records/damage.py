"""What readers make of a run that something else has changed: one line, that it is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import HarnessError

DAMAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What code that reads a run raises where the run is not as harness writes it."""


@contextmanager
def told_as_damage(name: str) -> Iterator[None]:
    """Turn what goes wrong inside the block into a HarnessError that names the run.

    The fields of a record are checked when it is parsed, but not what a table needs of its samples and its protocol, or
    of ``run.json``: a run may hold anything where it was edited, or written by another program.
    """
    try:
        yield
    except DAMAGE as error:
        what = f"{type(error).__name__}: {error}"
        raise HarnessError(f"run '{name}' is damaged, or of another version of harness ({what})") from error
