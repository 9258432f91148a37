"""What a training run leaves behind beside its weights: its curve, the watch over it, and what it says in words."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.errors import HarnessError
from harness.language.say import digits, say

CURVE = "training.json"
PLATEAU_MARGIN = 0.1
"""Nats below the unigram baseline from which a model has learnt more than word frequencies."""
_SPIKE_NATS, _SPIKE_RATIO = 2.0, 1.5
"""How far a logged loss is above the lowest one when a run has diverged: by both."""

Progress = Callable[[float, str], None]
"""Takes the share that is done, 0 to 1, and a word on how it goes."""


@dataclass
class TrainingRun:
    """What a training run leaves behind beside its weights.

    ``steps`` holds training loss in nats a token (for a distilled candidate the whole distillation loss), learning
    rate, gradient norm and tokens a second; ``validation`` the frozen validation loss in nats a token, and the mean
    training loss since the validation before, by tokens seen. ``sample`` is a block as the model sees it.
    """

    parameters: int
    tokens: int
    epoch_tokens: int
    initialised_from: str
    unigram_loss: float
    sample: dict[str, str] = field(default_factory=dict)
    steps: list[dict[str, float]] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)


class CurveWatch:
    """Keeps the curve, says how it goes, and stops a run that diverged. A step sees ``step_tokens`` tokens, and
    ``evaluations`` validations are taken on the way."""

    def __init__(self, run: TrainingRun, steps: int, step_tokens: int, evaluations: int, progress: Progress) -> None:
        self.run, self.total, self.step_tokens, self.progress = run, steps, step_tokens, progress
        self._due = {round(steps * (number + 1) / evaluations) for number in range(evaluations)}
        self._last = (0, time.monotonic())

    def logged(self, step: int, values: Mapping[str, float]) -> None:
        """Take what the loop tells after a step. Raises HarnessError when the loss is no finite number, or far above
        what it was."""
        loss, before = values["loss"], [entry["loss"] for entry in self.run.steps]
        if not math.isfinite(loss):
            raise HarnessError(f"training diverged at step {step}: the loss is {loss}; a lower learning_rate may help")
        if before and loss > max(min(before) + _SPIKE_NATS, min(before) * _SPIKE_RATIO):
            raise HarnessError(
                f"training diverged at step {step}: the loss rose from {min(before):.2f} to {loss:.2f}; a lower "
                "learning_rate or a longer warmup may help"
            )
        (done, when), now = self._last, time.monotonic()
        speed = (step - done) * self.step_tokens / max(now - when, 1e-9)
        self._last = (step, now)
        tokens = self.tokens(step)
        self.run.steps.append({"step": step, "tokens": tokens, **values, "tokens_per_second": round(speed, 1)})
        self.progress(step / self.total, f"loss {loss:.3f}, {speed:,.0f} tokens/s")

    def due(self, step: int) -> bool:
        """Whether the validation loss is taken after this step: at even distances, and after the last."""
        return step in self._due

    def validated(self, step: int, loss: float) -> None:
        """Take a validation loss, in nats a token."""
        tokens = self.tokens(step)
        since = self.run.validation[-1]["tokens"] if self.run.validation else 0
        recent = [entry["loss"] for entry in self.run.steps if entry["tokens"] > since]
        entry = {"tokens": tokens, "epoch": round(tokens / self.run.epoch_tokens, 4), "loss": loss}
        if recent:
            entry["training_loss"] = sum(recent) / len(recent)
        self.run.validation.append(entry)
        self._last = (step, time.monotonic())  # the time of the validation is none of the next steps'

    def tokens(self, step: int) -> int:
        """Tokens seen by the end of a step."""
        return step * self.step_tokens

    def state(self) -> dict[str, Any]:
        """The curve so far, as plain values."""
        return asdict(self.run)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from the curve of a run that was cut off."""
        self.run.steps, self.run.validation = list(state["steps"]), list(state["validation"])
        self._last = (int(self.run.steps[-1]["step"]) if self.run.steps else 0, time.monotonic())


def conclusions(run: Mapping[str, Any]) -> list[str]:
    """What a curve says, in sentences: the plateau of word frequencies, and overfitting. ``run`` is a TrainingRun as
    plain values."""
    validation = run["validation"]
    return [_plateau(validation, run["unigram_loss"]), *_overfitting(validation)] if validation else []


def _plateau(validation: list[dict[str, float]], unigram: float) -> str:
    perplexity = digits(f"{math.exp(unigram):,.0f}")
    left = next((entry for entry in validation if entry["loss"] < unigram - PLATEAU_MARGIN), None)
    if left is None:
        words = "It never left the plateau of word frequencies, which have a validation perplexity of {perplexity}."
        return say(words, perplexity=perplexity)
    return say(
        "By {tokens} tokens it left the plateau of word frequencies, which have a validation perplexity of "
        "{perplexity}.",
        tokens=digits(f"{left['tokens']:,.0f}"),
        perplexity=perplexity,
    )


def _overfitting(validation: list[dict[str, float]]) -> list[str]:
    best, last = min(validation, key=lambda entry: entry["loss"]), validation[-1]
    if "training_loss" not in last or "training_loss" not in best:
        return []
    rose, fell = last["loss"] - best["loss"], best["training_loss"] - last["training_loss"]
    if rose <= 0.01:
        return [say("It does not overfit: the validation loss is lowest at the end.")]
    if fell > 0:
        return [
            say(
                "It overfits: the validation loss was lowest after {tokens} tokens and rose by {rise} since, while the "
                "training loss fell by {fall}.",
                tokens=digits(f"{best['tokens']:,.0f}"),
                rise=digits(f"{rose:.2f}"),
                fall=digits(f"{fell:.2f}"),
            )
        ]
    words = "The validation loss rose by {rise} since its lowest, but so did the training loss: no overfitting."
    return [say(words, rise=digits(f"{rose:.2f}"))]
