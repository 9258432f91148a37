"""Short trainings, in this process or, as a program that torchrun starts, shared by several.

The program takes the folders of imports (JSON), a folder with a checkpoint of each family, and a folder for what it
finds: for each process a file of losses and weights by case.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = json.loads(sys.argv[1])

import numpy as np
import torch
from tiny import TINY

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate
from harness.candidates.checkpoint import load_model, load_tokenizer
from harness.candidates.spec import DistillationSpec, TrainingSpec
from harness.corpora.catalogue import load_corpus
from harness.errors import HarnessError
from harness.training import loop
from harness.training.distillation import DistillationLoss
from harness.training.loop import STATE, Loop, Watch
from harness.training.losses import LossModel
from harness.training.models import build_model
from harness.training.objectives import BlockExamples, Objective
from harness.training.together import obtain_together

STEPS, TOLD = 12, 4
KILLED_AT = 9
"""When three losses are about to be told; the first two were kept."""


class Killed(Exception):
    """Stands for the end of the process."""


@dataclass
class Curve:
    """What a watch was told, which ends the run at a step."""

    kill_at: int | None = None
    losses: list[float] = field(default_factory=list)

    def logged(self, step: int, values: dict[str, float]) -> None:
        if step == self.kill_at:
            raise Killed
        self.losses.append(values["loss"])

    def restore(self, state: dict[str, Any]) -> None:
        self.losses = list(state["losses"])

    def watch(self) -> Watch:
        return Watch(
            self.logged, lambda step: False, lambda step, model: None, lambda: {"losses": self.losses}, self.restore
        )


Found = dict[str, Any]
"""``losses``, one for every three steps, and ``weights`` by name."""


def trained(
    checkpoints: Path, family: str = "causal", dtype: str = "float32", dropout: float = 0.0, teacher: bool = False,
    unfinished: Path | None = None, kill_at: int | None = None, last_mask_share: float | None = None, **keys: Any,
) -> Found:  # fmt: skip
    """A short training with weights, gradients and losses of a type."""
    torch.set_num_threads(1)
    before = torch.get_default_dtype(), loop.LOGS
    torch.set_default_dtype(getattr(torch, dtype))
    loop.LOGS = TOLD
    try:
        tokenizer = load_tokenizer(checkpoints / family)
        torch.manual_seed(0)
        model = build_model(TINY[family], tokenizer)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
        above = load_model(checkpoints / family, family, dtype) if teacher else None
        distillation = DistillationLoss(above, DistillationSpec()) if above else None
        recipe = TrainingSpec(tokens=1, block_size=32, batch_size=8, learning_rate=5e-3, **keys)
        objective = Objective(family, tokenizer, 32, 0.4)
        ids = np.random.default_rng(0).integers(5, len(tokenizer), 5000)
        examples = BlockExamples(objective, ids, STEPS * 8, seed=0, last_mask_share=last_mask_share)
        curve = Curve(kill_at)
        Loop(LossModel(model, distillation=distillation), examples, recipe, STEPS, curve.watch(), unfinished).run()
        return {"losses": curve.losses, "weights": {name: each.detach() for name, each in model.named_parameters()}}
    finally:
        torch.set_default_dtype(before[0])
        loop.LOGS = before[1]


CASES: dict[str, dict[str, Any]] = {
    "AdamW": {},
    "Muon": {"optimizer": "muon"},
    "averaged": {"average": 0.9},
    "masked": {"family": "masked", "last_mask_share": 0.15},
    "taught": {"family": "masked", "last_mask_share": 0.15, "teacher": True},
    "seq2seq": {"family": "seq2seq"},
}
"""What is trained in fp32 and in fp64."""


def resumed_elsewhere(checkpoints: Path, rank: int, scratch: Path) -> Found:
    """A run that was killed and goes on where the process that kept its state is not the first one any more."""
    loop.SAVE_SECONDS = -1.0
    kept, empty = scratch / "kept", scratch / f"empty{rank}"
    for each in (kept, empty):
        each.mkdir(exist_ok=True)
    try:
        trained(checkpoints, unfinished=empty if rank else kept, kill_at=KILLED_AT)
    except Killed:
        torch.distributed.barrier()
    assert (kept / STATE).exists()
    assert not any(empty.iterdir())
    return trained(checkpoints, unfinished=kept if rank else empty)


def refused(rank: int, scratch: Path) -> str:
    """What is said to a process whose recipe is not that of the other."""
    training = TINY["causal"].training.model_copy(update={"seed": rank})
    candidate = Candidate("mine", TINY["causal"].model_copy(update={"training": training}))
    try:
        obtain_together(candidate, load_corpus("sotu"), ArtefactStore(scratch), lambda share, word: None)
    except HarnessError as error:
        return str(error)
    return ""


def main() -> None:
    """Train all cases, and save what each process found."""
    checkpoints, out = Path(sys.argv[2]), Path(sys.argv[3])
    found = {
        f"{name} {dtype}": trained(checkpoints, dtype=dtype, **keys)
        for name, keys in CASES.items()
        for dtype in ("float32", "float64")
    }
    found["dropout"] = trained(checkpoints, dropout=0.2)
    found["in parts"] = trained(checkpoints, dtype="float64", accumulate=2)
    rank = torch.distributed.get_rank()
    found["resumed"] = resumed_elsewhere(checkpoints, rank, out)
    found["refused"] = refused(rank, out)
    torch.save(found, out / f"{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
