"""The optimisation itself: steps over examples, in one process or several, and where it goes on after a kill."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn

from harness.candidates.spec import TrainingSpec
from harness.errors import HarnessError
from harness.training.head import labelled
from harness.training.losses import LossModel
from harness.training.objectives import BlockExamples
from harness.training.optimizers import make_optimizers, make_schedule

STATE = "unfinished.pt"
SAVE_SECONDS = 120.0
LOGS = 50


@dataclass
class Watch:
    """What the loop tells of itself: ``logged`` after some steps (mean loss, learning rate and gradient norm of the
    last one), ``validated`` where ``due`` says that a validation is. ``state`` and ``restore`` keep what was told."""

    logged: Callable[[int, dict[str, float]], None]
    due: Callable[[int], bool]
    validated: Callable[[int, LossModel], None]
    state: Callable[[], dict[str, Any]]
    restore: Callable[[dict[str, Any]], None]


class Loop:
    """Trains a loss model on examples, ``steps`` of ``recipe.batch_size`` blocks each.

    Several processes (torchrun) share every step, and give the gradient that one would with as many times
    ``recipe.accumulate``. With ``unfinished``, a folder, the first keeps the state there every two minutes and a later
    loop goes on from it, bit for bit: examples and dropout are functions of seed, step and part.
    """

    def __init__(
        self,
        model: LossModel,
        examples: BlockExamples,
        recipe: TrainingSpec,
        steps: int,
        watch: Watch,
        unfinished: Path | None = None,
    ) -> None:
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available())
        processes = self.accelerator.num_processes
        if recipe.batch_size % (recipe.accumulate * processes):
            raise HarnessError(
                f"{recipe.batch_size} blocks a step cannot be shared by {processes} processes, each in "
                f"{recipe.accumulate} parts"
            )
        self.inner, self.examples, self.recipe, self.steps, self.watch = model, examples, recipe, steps, watch
        self.model = self.accelerator.prepare(model)
        model.bring_teacher(self.accelerator.device)
        self.optimizers = make_optimizers(model.model, recipe)
        self.schedules = [make_schedule(each, recipe, steps) for each in self.optimizers]
        self.average = _Average(model, recipe.average) if recipe.average else None
        self._file = unfinished / STATE if unfinished else None
        self._losses: list[Tensor] = []
        self._norm = torch.zeros(())
        self._rate = 0.0

    def run(self) -> None:
        """Take all steps that are left. Errors of the watch pass through; what was kept stays."""
        every, saved = max(1, self.steps // LOGS), time.monotonic()
        self.model.train()
        for step in range(self._resumed(), self.steps):
            self._losses.append(self._step(step))
            done = step + 1
            if done % every == 0 or done == self.steps:
                self._log(done)
            if self.watch.due(done):
                with self.average.in_place() if self.average else nullcontext():
                    self.watch.validated(done, self.inner)
                self.model.train()
            if self._file and self._agreed(time.monotonic() - saved > SAVE_SECONDS):
                self._save(done)
                saved = time.monotonic()
        if self.average:
            self.average.keep()

    def _step(self, step: int) -> Tensor:
        """One step; this process's share of its loss, a scalar."""
        recipe, accelerator = self.recipe, self.accelerator
        parts = [self._part(step, part) for part in range(recipe.accumulate)]
        counts = torch.stack([labelled(self.inner.model, part["labels"]) for part in parts]).sum()
        total = accelerator.reduce(counts, "sum")
        scored = total / (recipe.accumulate * accelerator.num_processes)
        loss = torch.zeros((), device=accelerator.device)
        for number, part in enumerate(parts):
            last = number + 1 == len(parts)
            torch.manual_seed((recipe.seed * 1_000_003 + step) * 1024 + self._place(number))
            with nullcontext() if last else accelerator.no_sync(self.model):
                with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
                    share = self.model(scored=scored, **part) / total
                accelerator.backward(share * accelerator.num_processes)  # gradients are averaged over processes
            loss += share.detach()
        self._rate = float(self.schedules[0].get_last_lr()[0])
        self._norm = torch.nn.utils.clip_grad_norm_(self.inner.model.parameters(), recipe.clip_norm)
        for optimizer, schedule in zip(self.optimizers, self.schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        if self.average:
            self.average.update()
        return loss

    def _part(self, step: int, part: int) -> dict[str, Tensor]:
        """This process's share of a part of a step's batch."""
        size = self.recipe.batch_size // (self.recipe.accumulate * self.accelerator.num_processes)
        first = step * self.recipe.batch_size + self._place(part) * size
        batch = self.examples.batch(range(first, first + size))
        return {name: each.to(self.accelerator.device) for name, each in batch.items()}

    def _place(self, part: int) -> int:
        """Which of all parts of a step a part of this process is."""
        return part * int(self.accelerator.num_processes) + self._rank

    @property
    def _rank(self) -> int:
        return int(self.accelerator.process_index)

    def _log(self, done: int) -> None:
        loss = self._whole_losses().mean()
        self._losses = []
        values = {"loss": float(loss), "learning_rate": self._rate, "grad_norm": float(self._norm)}
        self.watch.logged(done, values)

    def _whole_losses(self) -> Tensor:
        """Over all processes, the losses of the steps since the last that was told, [steps]."""
        if not self._losses:
            return torch.zeros(0, device=self.accelerator.device)
        whole: Tensor = self.accelerator.reduce(torch.stack(self._losses), "sum")
        return whole

    def _agreed(self, mine: bool) -> bool:
        """What the first process says, in all of them."""
        if self.accelerator.num_processes == 1:
            return mine
        said = torch.tensor(float(mine and self._rank == 0), device=self.accelerator.device)
        return bool(self.accelerator.reduce(said, "sum") > 0)

    def _resumed(self) -> int:
        """The step to go on from: 0, or the one that was kept."""
        kept = self._kept()
        if kept is None:
            return 0
        self.inner.model.load_state_dict(kept["model"])
        for optimizer, state in zip(self.optimizers, kept["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        for schedule, state in zip(self.schedules, kept["schedules"], strict=True):
            schedule.load_state_dict(state)
        if self.average:
            self.average.weights = [each.to(self.accelerator.device) for each in kept["average"]]
            self.average.updates = kept["done"]
        share = 0.0 if self._rank else 1.0  # of losses that are kept whole
        self._losses = [share * each.to(self.accelerator.device) for each in kept["losses"]]
        self.watch.restore(kept["watch"])
        return int(kept["done"])

    def _kept(self) -> dict[str, Any] | None:
        """The latest state that was kept, on whichever machine: the first process is not always on the same one."""
        kept: dict[str, Any] | None = None
        if self._file and self._file.exists():
            kept = torch.load(self._file, map_location="cpu", weights_only=True)
        if self.accelerator.num_processes == 1:
            return kept
        steps = gather_object([kept["done"] if kept else 0])
        if min(steps) < max(steps):
            (kept,) = broadcast_object_list([kept], from_process=steps.index(max(steps)))
        return kept

    def _save(self, done: int) -> None:
        """Keep everything that later steps depend on, whole or not at all."""
        losses = list(self._whole_losses().unbind())
        if self._file is None or self._rank:
            return
        state = {
            "done": done,
            "model": self.inner.model.state_dict(),
            "optimizers": [each.state_dict() for each in self.optimizers],
            "schedules": [each.state_dict() for each in self.schedules],
            "average": self.average.weights if self.average else [],
            "losses": losses,
            "watch": self.watch.state(),
        }
        aside = self._file.with_suffix(".new")
        try:
            torch.save(state, aside)
            aside.replace(self._file)
        except (OSError, RuntimeError) as error:  # a full disk must not end hours of work
            print(f"the state after step {done} could not be kept: {error}", file=sys.stderr)


class _Average:
    """An exponential average of weights, over all steps at first and the latest ones later."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.parameters: list[Tensor] = list(model.parameters())
        self.decay, self.updates = decay, 0
        self.weights = [each.detach().clone() for each in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of a step in."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 9))
        torch._foreach_lerp_(self.weights, self.parameters, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model with averaged weights, for a while."""
        own = [each.detach().clone() for each in self.parameters]
        self.keep()
        yield
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, own)

    @torch.no_grad()
    def keep(self) -> None:
        """The model with averaged weights, from now on."""
        torch._foreach_copy_(self.parameters, self.weights)
