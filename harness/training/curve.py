"""What a training run leaves behind beside its weights: its curve, and the watch over it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.candidates.spec import TrainingSpec
from harness.errors import HarnessError

CURVE = "training.json"

Progress = Callable[[float, str], None]
"""Takes the share that is done, 0 to 1, and a word on how it goes."""


@dataclass
class TrainingRun:
    """What a training run leaves behind beside its weights.

    ``steps`` holds training loss in nats a token (for a distilled candidate the whole distillation loss), learning
    rate and gradient norm; ``validation`` the frozen validation loss in nats a token by tokens seen.
    """

    parameters: int
    tokens: int
    initialised_from: str
    unigram_loss: float
    steps: list[dict[str, float]] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)


class CurveWatch:
    """Keeps the curve, says how it goes, and stops a run that diverged."""

    def __init__(self, run: TrainingRun, recipe: TrainingSpec, progress: Progress) -> None:
        self.run, self.recipe, self.progress = run, recipe, progress

    def logged(self, step: int, steps: int, logs: dict[str, float]) -> None:
        """Take a log entry of the Trainer. Raises HarnessError when the loss is not a finite number."""
        if "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise HarnessError(f"training diverged at step {step}: the loss is {loss}")
        entry = {"step": step, "tokens": self.tokens(step), "loss": loss}
        entry |= {key: float(logs[key]) for key in ("learning_rate", "grad_norm") if key in logs}
        self.run.steps.append(entry)
        self.progress(step / steps, f"loss {loss:.3f}")

    def validation_due(self, step: int, steps: int) -> bool:
        """Whether the validation loss is taken after this step: at even distances, and after the last."""
        count = self.recipe.evaluations
        return step in {round(steps * (i + 1) / count) for i in range(count)}

    def tokens(self, step: int) -> int:
        """Tokens seen by the end of a step."""
        return step * self.recipe.batch_size * self.recipe.block_size
