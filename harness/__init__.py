"""Benchmark and choose language models: quality, speed and memory of every variant, in one table.

For scripts and notebooks: ``harness.run_suite`` and ``harness.open_run``; see docs/api.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import (
        Figure,
        HarnessError,
        Judged,
        Recommendation,
        Recommended,
        Record,
        Row,
        Run,
        Step,
        open_run,
        run_suite,
    )

__all__ = [
    "Figure",
    "HarnessError",
    "Judged",
    "Recommendation",
    "Recommended",
    "Record",
    "Row",
    "Run",
    "Step",
    "open_run",
    "run_suite",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first asked for (PEP 562): every verb and every worker imports this."""
    if name not in __all__:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    from harness import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
