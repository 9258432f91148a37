"""Causal variants whose speed, quality and memory are set by the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from builders import answered, make_row, scored, single, timed

from harness.records.rows import Row
from harness.records.values import Value

ROUNDS = (1.00, 1.02, 0.98, 1.01, 0.99, 1.03, 0.97, 1.00)
DOCUMENTS = (300.0, 340.0, 280.0, 310.0, 330.0, 290.0, 305.0, 325.0)


@pytest.fixture
def variant() -> Callable[..., Row]:
    """Make a row: ``speed`` in tokens/s with a jitter of 3 % that all share, ``loss`` times the nats of all documents,
    ``right`` answers a document to ten clozes, ``ratio`` to the parent's perplexity and ``agreement`` with it.

    ``wobble`` moves every second round and document up and the others down by that share, so that two variants of
    different wobble cannot be told apart.
    """

    def make(name: str, *, speed: float | None = 100.0, loss: float | None = 1.0, memory: float | None = None,
             right: float | None = None, ratio: float | None = None, agreement: float | None = None,
             wobble: float = 0.0, **other: Any) -> Row:  # fmt: skip
        metrics: dict[str, Value] = {}
        if speed is not None:
            readings = [speed * jitter * (1 + wobble * (-1) ** i) for i, jitter in enumerate(ROUNDS)]
            metrics["decode_tokens_per_second"] = timed(readings)
        if loss is not None:
            nats = [loss * each * (1 + wobble * (-1) ** i) for i, each in enumerate(DOCUMENTS)]
            metrics |= {metric: scored(metric, nats) for metric in ("perplexity", "bits_per_byte")}
        if right is not None:
            metrics["cloze_accuracy"] = answered("cloze_accuracy", [right] * len(DOCUMENTS))
        facts = {"peak_memory_bytes": memory, "perplexity_ratio": ratio, "top1_agreement": agreement}
        metrics |= {metric: single(value) for metric, value in facts.items() if value is not None}
        return make_row(f"{name}/torch/fp32/cpu" if "/" not in name else name, metrics, **other)

    return make
