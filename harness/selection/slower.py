"""Quantised variants that are slower than their fp32 sibling on the same engine, and the likely reason."""

from __future__ import annotations

from collections.abc import Sequence

from harness.language.markup import code
from harness.language.say import digits, say
from harness.records.metrics import METRICS
from harness.records.rows import Row
from harness.selection.comparison import Comparison, compare

FLOATS = ("fp32", "bf16", "fp16")
INTEGER_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "asimddp", "i8mm")
"""Instructions that multiply bytes and add the products up in one step."""
SPEEDS = ("decode_tokens_per_second", "prefill_tokens_per_second", "encode_tokens_per_second")

_INTEGER_PRODUCTS = ("MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QGemm", "QLinearMatMul",
                     "mul_mat")  # fmt: skip
"""Operators that multiply integers by integers (``mul_mat`` is llama.cpp's); others unpack the weights."""


def slower_sentences(rows: Sequence[Row], isa: Sequence[str]) -> list[str]:
    """A sentence for each quantised variant and each speed at which it loses to fp32 of the same candidate, engine,
    device and kind of machine by a paired interval. ``isa`` are the instructions of the CPU that all ran on; see
    ``harness.records.environment``."""
    sentences = []
    for row in rows:
        base = _fp32_sibling(row, rows)
        if base is None:
            continue
        for speed in SPEEDS:
            comparison = compare(base, row, speed)
            if comparison is not None and comparison.better is False:
                sentences.append(_sentence(row, base, speed, comparison, isa))
    return sentences


def likely_reason(row: Row, speed: str, isa: Sequence[str]) -> str:
    """Why a quantised variant may be slow: from what it multiplies with, what the speed is bound by, and the
    instructions of the CPU."""
    if row.subject.device != "cpu":
        return say("on a GPU small kernels that quantise and widen surround each product, which small models feel most")
    if _weights_only(row):
        if speed == "decode_tokens_per_second":
            return say("its weights are unpacked before every product, which costs more than reading fewer bytes saves")
        return say(
            "its weights are unpacked before every product, and a long input is bound by arithmetic, not by reading"
        )
    if speed == "decode_tokens_per_second":
        return say(
            "activations are quantised anew before every product, which costs more than reading fewer bytes saves "
            "where weights fit into the caches"
        )
    if not set(isa) & set(INTEGER_INSTRUCTIONS):
        return say(
            "this CPU has neither VNNI nor AMX (x86) nor dot products (ARM), so int8 products run on ordinary "
            "multiply-adds that widen (AVX2's vpmaddubsw) and gain little over fp32; activations are quantised anew "
            "before every product, an overhead that dominates where the matrices are small"
        )
    return say(
        "this CPU has int8 instructions, so it is the rest: activations are quantised anew before every product, and "
        "small matrices do not make up for it"
    )


def _fp32_sibling(row: Row, rows: Sequence[Row]) -> Row | None:
    mine = row.subject
    if mine.precision in FLOATS or row.status != "ok":
        return None
    for other in rows:
        its = other.subject
        if (its.candidate, its.engine, its.place, its.precision) == (mine.candidate, mine.engine, mine.place, "fp32"):
            return other if other.status == "ok" else None
    return None


def _weights_only(row: Row) -> bool:
    """Whether only the weights are integers, by the operators that read them; by the precision where none are named."""
    share = row.metrics.get("quantised_share")
    operators = share.protocol.get("operators", {}) if share else {}
    return not set(operators) & set(_INTEGER_PRODUCTS) if operators else row.subject.precision != "int8"


def _sentence(row: Row, base: Row, speed: str, comparison: Comparison, isa: Sequence[str]) -> str:
    ratio = comparison.ratio
    return say(
        "{variant} is slower than {base}: {speed} at {ratio} times its speed [{low}, {high}]. Likely reason: {reason}.",
        variant=code(row.variant),
        base=code(base.variant),
        speed=say(METRICS[speed].title),
        ratio=digits(f"{ratio.value:.2f}"),
        low=digits(f"{ratio.low:.2f}"),
        high=digits(f"{ratio.high:.2f}"),
        reason=likely_reason(row, speed, isa),
    )
