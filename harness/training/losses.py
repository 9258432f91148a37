"""The training loss: cross-entropy at labelled positions, in chunks, so that a batch's logits never exist at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.corpora.corruption import IGNORED
from harness.training.distillation import DistillationLoss
from harness.training.head import accurate, before_the_head, labelled, rows_at_once, shifts, take_slopes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class LossModel(nn.Module):
    """A model that gives its loss instead of its logits: the sum over labelled positions, in nats.

    The head is applied to labelled positions only: of a masked model, to 15 % of them. While training, z_loss times the
    squared log of the softmax's denominator is added (de Brébisson & Vincent 2016, arXiv 1604.08859; PaLM, section 5),
    and with a teacher the loss is that of distillation.
    """

    def __init__(self, model: PreTrainedModel, z_loss: float = 0.0, distillation: DistillationLoss | None = None):
        super().__init__()
        self.model, self.z_loss = model, z_loss
        self._distillation = [distillation]  # in a list: a teacher is no part of what is trained

    def bring_teacher(self, device: torch.device) -> None:
        """Put the teacher where the model is."""
        if (distillation := self._distillation[0]) is not None:
            distillation.teacher.to(device)

    def forward(self, scored: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """``input_ids`` and ``labels`` [batch, length], as transformers' models take them.

        Where a batch is one of several equal shares of a step, ``scored``, a scalar, is how many labelled positions
        such a share has on average; the losses of the shares add up to that of the whole step then.
        """
        labels = inputs["labels"]
        if self.training and (distillation := self._distillation[0]) is not None:
            scored = labelled(self.model, labels) if scored is None else scored
            return distillation(self.model, inputs, scored) * scored
        hidden, _ = before_the_head(self.model, {name: each for name, each in inputs.items() if name != "labels"})
        if shifts(self.model):
            hidden, labels = hidden[:, :-1], labels[:, 1:]
        scored = labels != IGNORED
        head = self.model.get_output_embeddings()
        z_loss = self.z_loss if self.training else 0.0
        return linear_cross_entropy(hidden[scored], head.weight, head.bias, labels[scored], z_loss)


def linear_cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, z_loss: float) -> Tensor:
    """The sum of -log softmax(hidden weight^T + bias)[label] + z_loss * log(sum(exp(...)))^2 over rows, in nats.

    ``hidden`` [rows, width], ``weight`` [entries, width], ``bias`` [entries] or None, ``labels`` [rows]. The gradient
    is computed with the loss, a chunk of rows at a time, and no logits are kept for it.
    """
    return _LinearCrossEntropy.apply(hidden, weight, bias, labels, z_loss)  # type: ignore[no-untyped-call, no-any-return]


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, z_loss: float) -> Tensor:
        wanted = any(ctx.needs_input_grad[:3])
        rows = rows_at_once(weight)
        loss = hidden.new_zeros((), dtype=accurate(hidden.dtype))
        slopes_hidden = torch.empty_like(hidden) if wanted else None
        slopes_weight = torch.zeros_like(weight) if wanted else None
        slopes_bias = torch.zeros_like(bias) if wanted and bias is not None else None
        for start in range(0, len(hidden), rows):
            part, aims = hidden[start : start + rows], labels[start : start + rows, None]
            logits = nn.functional.linear(part, weight, bias).to(loss.dtype)
            highest, aimed = logits.amax(dim=-1, keepdim=True), logits.gather(1, aims)
            powers = logits.sub_(highest).exp_()  # in place: a second array of this size would cost as much again
            sums = powers.sum(dim=-1, keepdim=True)
            scale = highest + sums.log()
            loss += (scale - aimed + z_loss * scale**2).sum()
            if slopes_hidden is None or slopes_weight is None:
                continue
            slopes = powers.mul_((1 + 2 * z_loss * scale) / sums)
            slopes.scatter_add_(1, aims, torch.full_like(scale, -1.0))
            slopes = slopes.to(part.dtype)
            slopes_hidden[start : start + rows] = slopes @ weight
            if torch.is_autocast_enabled(part.device.type):  # an addition in place would be computed in fp32
                slopes_weight += slopes.t() @ part
            else:
                slopes_weight.addmm_(slopes.t(), part)
            if slopes_bias is not None:
                slopes_bias += slopes.sum(0)
        ctx.slopes = (slopes_hidden, slopes_weight, slopes_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return (*take_slopes(ctx, *outer), None, None)
