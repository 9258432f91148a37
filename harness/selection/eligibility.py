"""Who may be chosen for a use case, and why the others may not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.records.metrics import PERPLEXITY
from harness.records.rows import Row
from harness.selection.comparison import Comparison
from harness.selection.equivalence import not_equivalent
from harness.selection.limits import Limit, Standing
from harness.selection.scores import UseCase

Kind = Literal["tied", "worse", "incomparable", "uncertain", "missed", "unmeasured", "no better than word frequencies",
               "not equivalent", "failed"]  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """Why a variant was not chosen: what of ``kind`` holds, and what belongs to it.

    - ``tied``: as good at what is wanted most; ``metric`` is the tie breaker at which the choice is better, if any
    - ``worse``: at what is wanted most; ``incomparable``: with the choice
    - ``uncertain``, ``missed``: whether it keeps ``limit``
    - ``unmeasured``: ``metric``, needed for ``limit`` or to be ranked
    - ``not equivalent``: to its parent, ``detail`` says by how much; ``failed``: ``detail`` is status and reason

    ``comparison`` is the advantage of the choice over a variant that was eligible, ``dominated_by`` a variant on the
    Pareto front that is as good at everything and surely better at something.
    """

    kind: Kind
    metric: str = ""
    limit: Limit | None = None
    detail: str = ""
    comparison: Comparison | None = None
    dominated_by: str = ""


def disqualified(row: Row, use_case: UseCase) -> Reason | None:
    """Why a variant cannot be chosen whatever its limits are; None where it can.

    It must be measured without a failure, at what is wanted most and at what is limited, be better than the unigram
    baseline, and equivalent to the model that it was made from.
    """
    if row.status != "ok":
        return Reason("failed", detail=f"{row.status}: {row.reason}")
    for metric in use_case.measures:
        if row.value(metric) is None:
            return Reason("unmeasured", metric)
    for limit in use_case.limits:
        if row.value(limit.metric) is None:
            return Reason("unmeasured", limit.metric, limit)
    for quality in PERPLEXITY.values():
        value, floor = row.value(quality), row.value("unigram_perplexity")
        if value is not None and floor is not None and value >= floor:
            return Reason("no better than word frequencies")
    if detail := not_equivalent(row):
        return Reason("not equivalent", detail=detail)
    return None


def against_limits(row: Row, use_case: UseCase) -> tuple[Standing, Limit | None]:
    """How a variant that is measured stands to its limits: the worst of all, with the first limit that is to blame."""
    standings = [(limit.standing(row.metrics[limit.metric]), limit) for limit in use_case.limits]
    for worst in ("missed", "uncertain"):
        for standing, limit in standings:
            if standing == worst:
                return standing, limit
    return "met", None
