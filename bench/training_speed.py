"""Training steps a second beside transformers' Trainer: the same architecture, batch and threads, in fp32.

    python bench/training_speed.py --architecture gpt2 --steps 4 --rounds 6

Every reading is a fresh process that trains one way: one step to warm up, then the median of the next. ``Trainer`` is
transformers' with its defaults on the published model; ``same model`` is this project's loop on that model, dropout and
vocabulary included; ``tuned`` is the loop on the model of recipe ``tuned`` (no dropout, 25,000 entries). Ratios are
paired by round. Run nothing beside it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.candidates.catalogue import resolve
from harness.candidates.spec import CandidateSpec
from harness.execution.local import LocalExecutor
from harness.execution.worker import Channel
from harness.records.environment import available_cores
from harness.reporting.table import Table
from harness.stats.intervals import median, median_estimate
from harness.stats.paired import paired_time_ratio
from harness.suites.loader import load_suite

TRAINER, SAME, TUNED = "Trainer", "same model", "tuned"
TEXT = "The river rises in the mountains and flows through a wide valley to the sea. " * 2000


@dataclass(frozen=True)
class Order:
    """One reading: a way to train a description for some steps."""

    way: str
    spec: CandidateSpec
    steps: int
    threads: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=("gpt2", "bert"), default="gpt2")
    parser.add_argument("--steps", type=int, default=4, help="timed steps a reading")
    parser.add_argument("--rounds", type=int, default=6)
    asked = parser.parse_args()
    own = load_suite("wikitext2").suite.candidate
    course, tuned = (resolve(f"{asked.architecture}-{name}", own).spec for name in ("course", "tuned"))
    ways = {TRAINER: course, SAME: course, TUNED: tuned}
    orders = [Order(way, spec, asked.steps, available_cores()) for way, spec in ways.items()]
    executor, shuffler = LocalExecutor(available_cores(), offline=True, perform=measure), random.Random(0)
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(asked.rounds):
        for order in shuffler.sample(orders, len(orders)):
            result = executor.run(order, 3600, lambda share, word: None)
            if result.outcome is None:
                raise SystemExit(f"{order.way}: {result.reason}\n{result.stderr_tail}")
            taken[order.way].append(result.outcome)  # type: ignore[arg-type]
            print(f"round {number + 1} of {asked.rounds}: {order.way}, {result.outcome:.2f} s a step", file=sys.stderr)
    lines = []
    for way, seconds in taken.items():
        speed = median_estimate([1 / each for each in seconds])
        ratio = paired_time_ratio(seconds, taken[TRAINER])  # of rates: seconds of the Trainer over those of this way
        lines.append(
            (way, _interval(speed.value, speed.low, speed.high), _interval(ratio.value, ratio.low, ratio.high))
        )
    print(Table(("way", "steps/s", "against Trainer"), tuple(lines)).markdown())


def measure(order: Order, channel: Channel) -> Any:
    """In a process of its own: the median seconds of a step after the first."""
    import torch

    torch.set_num_threads(order.threads)
    torch.manual_seed(0)
    times = _with_trainer(order) if order.way == TRAINER else _with_loop(order)
    return median(np.diff(times).tolist())


def _with_loop(order: Order) -> list[float]:
    """When each step ended, trained by this project's loop."""
    from harness.training.loop import Loop, Watch
    from harness.training.losses import LossModel
    from harness.training.models import build_model, published_model

    recipe, times = order.spec.training, []
    assert recipe is not None
    tokenizer, examples = _examples(order)
    build = published_model if recipe.as_published else build_model
    watch = Watch(
        logged=lambda step, values: times.append(time.perf_counter()),
        due=lambda step: False,
        validated=lambda step, model: None,
        state=dict,
        restore=lambda state: None,
    )
    model = build(order.spec, tokenizer)
    model.resize_token_embeddings(_entries(order.spec))
    Loop(LossModel(model, recipe.z_loss), examples, recipe, order.steps + 1, watch).run()
    return times


def _with_trainer(order: Order) -> list[float]:
    """When each step ended, trained by transformers' Trainer on the same examples."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from harness.training.models import published_model

    recipe, times = order.spec.training, []
    assert recipe is not None
    tokenizer, examples = _examples(order)

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            max_steps=order.steps + 1,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            use_cpu=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        data = [examples[index] for index in range((order.steps + 1) * recipe.batch_size)]
        Trainer(model=published_model(order.spec, tokenizer), args=arguments, train_dataset=data,
                callbacks=[Clock()]).train()  # fmt: skip
    return times


def _examples(order: Order) -> tuple[Any, Any]:
    """A tokenizer, and examples of tokens drawn at random: what they say costs nothing."""
    from harness.training.objectives import BlockExamples, Objective
    from harness.training.tokenizers import train_tokenizer

    spec, recipe = order.spec, order.spec.training
    assert recipe is not None
    assert spec.architecture is not None
    tokenizer = train_tokenizer(spec.architecture, [TEXT], 400)
    objective = Objective(spec.family, tokenizer, recipe.block_size, recipe.mask_share)
    count = (order.steps + 1) * recipe.batch_size
    ids = np.random.default_rng(0).integers(5, len(tokenizer), count * objective.content)
    return tokenizer, BlockExamples(objective, ids, count, seed=0)


def _entries(spec: CandidateSpec) -> int:
    """Entries of the embeddings: as published, or those of the tokenizer that the candidate would have."""
    return int(spec.shape.get("vocab_size", spec.entries))


def _interval(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
