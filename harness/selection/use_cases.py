"""The use cases of a stored suite."""

from __future__ import annotations

from typing import Any

from harness.selection.limits import parse_limit
from harness.selection.recommend import UseCase


def use_cases_of(suite: dict[str, Any]) -> list[UseCase]:
    """The use cases of a suite as ``run.json`` keeps it; runs of before there were weights have none."""
    return [
        UseCase(
            title=case["title"],
            families=tuple(case["families"]),
            objective=case["objective"],
            tie_breakers=tuple(case["tie_breakers"]),
            limits=tuple(parse_limit(limit) for limit in case["limits"]),
            weights=tuple((case.get("weights") or {}).items()),
        )
        for case in suite.get("use_case", [])
    ]
