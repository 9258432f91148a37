"""Whether a variant still is the model that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.records.rows import Row


@dataclass(frozen=True)
class Gate:
    """How far a variant may be from its parent: the share by which its perplexity may differ, and the share of tokens
    on which both must find the same token likeliest."""

    perplexity: float
    top1_agreement: float

    def __str__(self) -> str:
        return f"perplexity within {self.perplexity:.1%} and top-1 agreement of {self.top1_agreement:.1%} or more"


EXACT = Gate(perplexity=0.001, top1_agreement=0.999)
"""The gate of fp32, which an export must keep."""
APPROXIMATE = Gate(perplexity=0.05, top1_agreement=0.95)
"""The gate of all other precisions."""


def gate_of(precision: str) -> Gate:
    """The gate that a precision has to pass."""
    return EXACT if precision == "fp32" else APPROXIMATE


def parent_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """The fp32 torch variant of the same candidate and device; None for itself or where it was not measured."""
    for other in rows:
        same = (other.subject.candidate, other.subject.device) == (row.subject.candidate, row.subject.device)
        if same and (other.subject.engine, other.subject.precision) == ("torch", "fp32") and other is not row:
            return other
    return None


def not_equivalent(row: Row) -> str | None:
    """Why a variant is not equivalent to its parent; None where it is, and for what was not compared: the parent
    itself, and a variant whose scoring did not end.

    Where weights are random, the likeliest token counts in fp32 only: many tokens are nearly as likely, and the least
    rounding swaps them.
    """
    gate = gate_of(row.subject.precision)
    ratio, agreement = row.value("perplexity_ratio"), row.value("top1_agreement")
    if ratio is not None and abs(ratio - 1) > gate.perplexity:
        return f"its perplexity is {ratio - 1:+.2%} against fp32 torch, more than {gate.perplexity:.1%}"
    judged = row.subject.origin != "random" or gate is EXACT
    if judged and agreement is not None and agreement < gate.top1_agreement:
        words = "its likeliest token is that of fp32 torch"
        return f"{words} in {agreement:.2%} of cases, less than {gate.top1_agreement:.1%}"
    return None
