"""What moves the weights: AdamW, or Muon on the hidden matrices, and how the learning rate goes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from harness.candidates.spec import TrainingSpec
from harness.training.muon import Muon

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def make_optimizers(model: PreTrainedModel, recipe: TrainingSpec) -> list[torch.optim.Optimizer]:
    """AdamW for all parameters, or Muon for the matrices between embeddings and head and AdamW for the rest.

    Weight decay is on matrices only: biases and normalisation scales are left alone.
    """
    outer = {id(p) for each in _embeddings_and_head(model) for p in each.parameters()}
    hidden = [p for p in model.parameters() if p.ndim == 2 and id(p) not in outer] if recipe.optimizer == "muon" else []
    rest = [p for p in model.parameters() if not any(p is each for each in hidden)]
    adamw = torch.optim.AdamW(
        _groups(rest, recipe.weight_decay), lr=recipe.learning_rate, betas=(0.9, recipe.beta2), fused=True
    )
    if not hidden:
        return [adamw]
    return [adamw, Muon(hidden, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)]


def make_schedule(optimizer: torch.optim.Optimizer, recipe: TrainingSpec, steps: int) -> LambdaLR:
    """A linear warm-up over the recipe's share of the steps, then a linear or cosine fall to 0 after the last."""
    return LambdaLR(optimizer, _share_of_peak(recipe, steps))


def _share_of_peak(recipe: TrainingSpec, steps: int) -> Callable[[int], float]:
    warm = round(recipe.warmup * steps)

    def share(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        left = (steps - step) / max(1, steps - warm)
        return left if recipe.schedule == "linear" else (1 - math.cos(math.pi * left)) / 2

    return share


def _groups(parameters: list[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def _embeddings_and_head(model: PreTrainedModel) -> list[nn.Module]:
    head = model.get_output_embeddings()
    return [each for each in model.modules() if isinstance(each, nn.Embedding) or each is head]
