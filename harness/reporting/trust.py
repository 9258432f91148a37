"""The warning of a report that candidates ran code which came with their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.language.markup import code
from harness.language.say import say


def trusted_code(suite: Mapping[str, Any], candidates: Iterable[str]) -> str | None:
    """Of the ``candidates`` those whose own code the suite lets run, as a warning; None where there is none."""
    described = suite.get("candidate", {})
    named = [name for name in dict.fromkeys(candidates) if described.get(name, {}).get("trust_remote_code")]
    if not named:
        return None
    return say(
        "**Warning:** {candidates} ran Python code that came with the weights (`trust_remote_code`). It had all rights "
        "of the user, and could have changed any number of this run; see SECURITY.md.",
        candidates=", ".join(code(name) for name in named),
    )
