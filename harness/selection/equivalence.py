"""Whether a variant still is the model that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.language.say import digits, say
from harness.records.rows import Row
from harness.records.units import number_and_unit


@dataclass(frozen=True)
class Gate:
    """How far a variant may be from its parent: the share by which its perplexity may differ, and the share of tokens
    on which both must find the same token likeliest."""

    perplexity: float
    top1_agreement: float

    def __str__(self) -> str:
        return say(
            "perplexity within {ratio} and top-1 agreement of {agreement} or more",
            ratio=_percent(self.perplexity),
            agreement=_percent(self.top1_agreement),
        )


EXACT = Gate(perplexity=0.001, top1_agreement=0.999)
"""The gate of fp32, which an export must keep."""
APPROXIMATE = Gate(perplexity=0.05, top1_agreement=0.95)
"""The gate of all other precisions."""


def gate_of(precision: str) -> Gate:
    """The gate that a precision has to pass."""
    return EXACT if precision == "fp32" else APPROXIMATE


def parent_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """The fp32 torch variant of the same candidate, device and kind of machine; None for itself or where it was not
    measured."""
    for other in rows:
        same = (other.subject.candidate, other.subject.place) == (row.subject.candidate, row.subject.place)
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
        return say(
            "its perplexity is {change} % against fp32 torch, more than {gate}",
            change=("+" if ratio >= 1 else "") + digits(f"{100 * (ratio - 1):.2f}"),
            gate=_percent(gate.perplexity),
        )
    judged = row.subject.origin != "random" or gate is EXACT
    if judged and agreement is not None and agreement < gate.top1_agreement:
        return say(
            "its likeliest token is that of fp32 torch in {agreement} % of cases, less than {gate}",
            agreement=digits(f"{100 * agreement:.2f}"),
            gate=_percent(gate.top1_agreement),
        )
    return None


def _percent(share: float) -> str:
    return number_and_unit(digits(f"{100 * share:.1f}"), "%")
