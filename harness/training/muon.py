"""Muon, with its matrix products in fp32 where the device has no fast bf16: torch's own computes in bf16 everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from harness.training.head import accurate

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
        """Move every matrix that has a gradient; those of one shape together."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                directions = orthogonal(torch.stack([self._direction(each, group["momentum"]) for each in matrices]))
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(matrices, directions.unbind(), alpha=-group["lr"] * 0.2 * math.sqrt(max(shape)))

    def _direction(self, matrix: Tensor, momentum: float) -> Tensor:
        """Nesterov's: where the gradient and the momentum point to, before it is made orthogonal."""
        slope, state = matrix.grad, self.state[matrix]
        assert slope is not None
        if not state:
            state["momentum"] = torch.zeros_like(slope)
        buffer: Tensor = state["momentum"]
        buffer.lerp_(slope, 1 - momentum)
        return slope.lerp(buffer, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """About the nearest matrices with orthonormal rows or columns, [count, rows, columns]: all singular values come to
    lie near 1, by an iteration of products. In bf16 on CUDA, elsewhere in fp32 or the matrices' own wider type."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(torch.bfloat16 if matrices.is_cuda else accurate(matrices.dtype))
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
