"""Muon, with its matrix products in fp32 where the device has no fast bf16: torch's own computes in bf16 everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration (Jordan et al. 2024, kellerjordan.github.io/posts/muon)."""
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal, for matrices (Jordan et al. 2024), and scaled to the size of AdamW's,
    so that both take one learning rate (Liu et al. 2025, arXiv 2502.16982, section 2.2). Decay is decoupled."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._move(matrix, matrix.grad, **{key: group[key] for key in ("lr", "weight_decay", "momentum")})

    def _move(self, matrix: Tensor, slope: Tensor, lr: float, weight_decay: float, momentum: float) -> None:
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(slope)
        buffer = state["momentum"]
        buffer.lerp_(slope, 1 - momentum)
        direction = orthogonal(slope.lerp(buffer, momentum))
        matrix.mul_(1 - lr * weight_decay)
        matrix.add_(direction, alpha=-lr * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonal(matrix: Tensor) -> Tensor:
    """About the nearest matrix with orthonormal rows or columns: all singular values come to lie near 1, by an
    iteration of products. In bf16 on CUDA, in fp32 elsewhere."""
    wide = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide.to(torch.bfloat16 if matrix.is_cuda else torch.float32)
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    found: Tensor = x.mT if wide is not matrix else x
    return found.to(matrix.dtype)
