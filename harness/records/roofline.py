"""The fraction of the machine's limit that a variant reaches: the roofline that its speed is held against.

A token of a decode step takes at least the time to read the weights, and a token of a prefill at least the time of its
matrix products (Williams, Waterman & Patterson 2009, Communications of the ACM 52(4)). The fraction travels between
machines better than tokens/s do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.records.record import Record
from harness.records.values import Value
from harness.stats.intervals import Estimate, median_estimate

FRACTION_OF = {
    "decode_tokens_per_second": "decode_fraction_of_limit",
    "prefill_tokens_per_second": "prefill_fraction_of_limit",
    "encode_tokens_per_second": "encode_fraction_of_limit",
}
"""Each speed at batch 1 with the fraction of the limit that it stands for."""
PEAK = "matmul_peak_"


def machine_limits(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """``read_bandwidth`` and ``matmul_peak_*`` by device and kind of machine (``cpu@small``), as a run measured
    them; empty where it did not."""
    found: dict[str, dict[str, float]] = {}
    for record in records:
        if record.kind == "limits" and record.fact is not None and record.fact.value is not None:
            found.setdefault(record.subject.place, {})[record.fact.metric] = record.fact.value
    return found


def fractions_of_limit(metrics: Mapping[str, Value], precision: str, limits: Mapping[str, float]) -> dict[str, Value]:
    """For each speed of a row the fraction of the limit, where both are known:

    - decode: ``step_bytes`` * tokens/s / ``read_bandwidth``;
    - prefill and encode: ``prefill_operations`` / their tokens * tokens/s / the matrix-product peak of the type that
      the variant computes in.

    A variant whose weights fit into the caches may pass 1.
    """
    seconds: dict[str, float] = {}
    bandwidth, step = limits.get("read_bandwidth"), metrics.get("step_bytes")
    if bandwidth and step and step.estimate.value > 0:
        seconds["decode_tokens_per_second"] = step.estimate.value / bandwidth
    peak, operations = peak_of(precision, limits), metrics.get("prefill_operations")
    if peak and operations and operations.protocol.get("prompt_tokens"):
        per_token = operations.estimate.value / operations.protocol["prompt_tokens"] / peak
        seconds |= dict.fromkeys(("prefill_tokens_per_second", "encode_tokens_per_second"), per_token)
    return {
        FRACTION_OF[speed]: _times(metrics[speed], floor, {"seconds_per_token_at_the_limit": floor})
        for speed, floor in seconds.items()
        if speed in metrics
    }


def peak_of(precision: str, limits: Mapping[str, float]) -> float | None:
    """Operations/s that a variant could reach at best: fp32 computes in fp32; bf16 and fp16 in theirs, or in fp32 where
    that is faster; what engines make of integer weights is theirs to choose, so the highest of all peaks holds."""
    types = {"fp32": ("fp32",), "bf16": ("bf16", "fp32"), "fp16": ("fp16", "fp32")}.get(precision)
    peaks = [value for name, value in limits.items() if name.startswith(PEAK)]
    if types:
        peaks = [limits[PEAK + kind] for kind in types if PEAK + kind in limits]
    return max(peaks, default=None)


def _times(value: Value, factor: float, protocol: dict[str, float]) -> Value:
    """A value of the same rounds, each times a factor."""
    if not value.rounds:
        return Value(Estimate(value.estimate.value * factor, None, None, value.estimate.n, ""), protocol=protocol)
    rounds = {number: reading * factor for number, reading in value.rounds.items()}
    return Value(median_estimate(list(rounds.values())), rounds, protocol=protocol, disturbed=value.disturbed)
