"""Tasks that run llama.cpp in a real worker process: one does what it should, one makes the library abort."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from harness.engines.base import Setup
from harness.engines.catalogue import engine_kind
from harness.execution.orders import Outcome
from harness.execution.worker import Channel
from harness.records.record import Fact


def perform(order: tuple[Path, str], channel: Channel) -> Outcome:
    """Score some tokens of the model in a folder; ``overrun`` does so beyond its positions, which llama.cpp asserts."""
    folder, what = order
    session = engine_kind("llamacpp").load().open(folder, "causal", Setup("fp32"))
    if what == "overrun":
        session._facts = dataclasses.replace(session.facts, positions=None)
    ids = np.full((1, 200 if what == "overrun" else 20), 7)
    (logits,) = session.score(ids, np.array([ids.size - 1]))
    return Outcome([Fact(metric="load_seconds", value=float(np.isfinite(logits).all()))])
