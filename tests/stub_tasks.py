"""Tasks that measure nothing: they hand back made-up facts at once, of the kinds and sizes of real ones."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, ClassVar

from harness.candidates.checkpoint import Checkpoint
from harness.execution.executor import Result
from harness.execution.local import LocalExecutor
from harness.execution.orders import Outcome, Prepared, WorkOrder
from harness.records.record import Fact
from harness.stats.intervals import clustered_ratio, exponential

DOCUMENTS, READINGS = 20, 3
TIMED = {"prefill_tokens_per_second": 5000.0, "decode_tokens_per_second": 300.0, "inter_token_seconds_p50": 0.003,
         "control_seconds": 0.01, "load_seconds": 0.2}  # fmt: skip


class InPlace(LocalExecutor):
    """An executor that performs a task in this process, and notes the limits that it was given."""

    limits: ClassVar[list[Any]] = []

    def __init__(self, threads: int, offline: bool) -> None:
        pass

    def run(self, order: Any, seconds: float, progress: Any, telemetry: bool = False, memory: Any = None) -> Result:
        self.limits.append(memory)
        return performed(order)


def suite_text(tasks: int, rounds: int = 6) -> str:
    """A suite of about so many tasks: as many candidates as that takes, each as one variant."""
    each = 4 + 2 * rounds  # prepare both, score, memory, and two a round
    names = [f"stub-{number}" for number in range(max(1, tasks // each))]
    tables = [f'[candidate.{name}]\norigin = "random"\nfamily = "causal"\narchitecture = "gpt2"\n' for name in names]
    case = '[[use_case]]\ntitle = "Fast"\nfamilies = ["causal"]\nobjective = "decode_tokens_per_second"\n'
    head = f'candidates = {names}\nvariants = ["torch/fp32"]\nrounds = {rounds}\n'.replace("'", '"')
    return "\n".join([head, "[evaluation]\nexcerpt_bytes = 100\n", *tables, case])


def performed(order: Any) -> Result:
    """How a task ends that measures nothing."""
    return Result("ok", "", perform(order, None), "", 0.01)


def perform(order: Any, channel: Any) -> Outcome:
    """Facts for an order of any kind; a preparation hands over a checkpoint that is not there."""
    if not isinstance(order, WorkOrder):
        return Outcome([Fact("read_bandwidth", value=1e10)])
    chance = random.Random(f"{order.candidate.name} {order.kind}")
    folder = Path(order.candidate.name)
    checkpoint = Checkpoint(folder, "causal", f"weights of {folder}", "tokenizer")
    return Outcome(_facts(order.kind, chance), Prepared(checkpoint, folder))


def _facts(kind: str, chance: random.Random) -> list[Fact]:
    def near(value: float) -> float:
        return value * chance.uniform(0.9, 1.1)

    if kind == "candidate":
        return [Fact("parameters", value=near(1e6))]
    if kind == "score":
        sums = [{"document": each, "nll": near(40.0), "tokens": 100.0} for each in range(DOCUMENTS)]
        found = clustered_ratio([each["nll"] for each in sums], [each["tokens"] for each in sums])
        return [Fact("weights_bytes", value=near(4e6)), Fact.of("perplexity", exponential(found), sums, {})]
    if kind == "memory":
        return [Fact("peak_memory_bytes", value=near(8e7))]
    if kind == "time":
        readings = {name: [near(value) for _ in range(READINGS)] for name, value in TIMED.items()}
        return [Fact(name, value=sorted(found)[1], samples=found) for name, found in readings.items()]
    return []
