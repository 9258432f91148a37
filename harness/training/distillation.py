"""The distillation loss: soft targets, hard targets, and hidden states that point the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from harness.candidates.spec import DistillationSpec
from harness.corpora.corruption import IGNORED
from harness.training.head import accurate, before_the_head, labelled, rows_at_once, shifts, take_slopes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class DistillationLoss:
    """soft * T^2 * KL(teacher || student at temperature T) + hard * cross-entropy + cosine * (1 - cos of the last
    hidden states) (Hinton et al. 2015, section 2; Sanh et al. 2019, section 3). Divergence and cosine are means over
    all positions, the cross-entropy one over those that have a label.

    Divided by soft + hard + cosine, so that the learning rate means what it means without a teacher.
    """

    def __init__(self, teacher: PreTrainedModel, spec: DistillationSpec) -> None:
        self.teacher, self.spec = teacher.eval(), spec

    def __call__(self, student: PreTrainedModel, inputs: dict[str, Tensor], scored: Tensor | None = None) -> Tensor:
        """The loss of one batch, a scalar. ``input_ids`` and ``labels`` [batch, length]; a label may be -100.

        ``scored``, a scalar, is what the sum of cross-entropies is divided by where that is not the number of labelled
        positions of this batch.
        """
        spec = self.spec
        given = {name: each for name, each in inputs.items() if name != "labels"}
        with torch.no_grad():
            taught, taught_states = before_the_head(self.teacher, given)
        learnt, states = before_the_head(student, given)
        aims = inputs["labels"]
        scored = labelled(student, aims) if scored is None else scored
        if shifts(student):
            aims = functional.pad(aims[:, 1:], (0, 1), value=IGNORED)
        head, teachers = student.get_output_embeddings(), self.teacher.get_output_embeddings()
        loss = head_distillation(
            learnt.flatten(0, 1), head.weight, head.bias, taught.flatten(0, 1), teachers.weight, teachers.bias,
            aims.flatten(), spec.temperature, spec.soft / aims.numel(),
            spec.hard / float(scored.clamp(min=1)),
        )  # fmt: skip
        loss = loss + spec.cosine * cosine_loss(states, taught_states)
        return torch.as_tensor(loss / (spec.soft + spec.hard + spec.cosine))


def cosine_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine of hidden states [..., width], mean over positions. Shapes must be equal."""
    return (1 - functional.cosine_similarity(student, teacher, dim=-1)).mean()


def head_distillation(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, taught: Tensor, teacher_weight: Tensor,
    teacher_bias: Tensor | None, labels: Tensor, temperature: float, soft: float, hard: float,
) -> Tensor:  # fmt: skip
    """soft * T^2 * the sum over rows of KL(teacher || student) of logits softened by T, plus hard * the sum over
    labelled rows of the cross-entropy, in nats.

    The student's logits are ``hidden`` [rows, width] times ``weight`` [entries, width] plus ``bias``, the teacher's
    likewise of ``taught``; ``labels`` [rows], -100 for none. The gradient is computed with the loss, a chunk of rows
    at a time, and no logits are kept for it.
    """
    return _HeadDistillation.apply(  # type: ignore[no-untyped-call, no-any-return]
        hidden, weight, bias, (taught, teacher_weight, teacher_bias), labels, temperature, soft, hard
    )


class _HeadDistillation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None,
        teacher: tuple[Tensor, Tensor, Tensor | None], labels: Tensor, temperature: float, soft: float, hard: float,
    ) -> Tensor:  # fmt: skip
        linear, rows = functional.linear, rows_at_once(weight)
        taught, teacher_weight, teacher_bias = teacher
        loss = hidden.new_zeros((), dtype=accurate(hidden.dtype))
        slopes_hidden, slopes_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        slopes_bias = torch.zeros_like(bias) if bias is not None else None
        for start in range(0, len(hidden), rows):
            part, aims = hidden[start : start + rows], labels[start : start + rows, None]
            has_label = (aims != IGNORED).to(loss.dtype)
            aims = aims.clamp(min=0)
            wanted = linear(taught[start : start + rows], teacher_weight, teacher_bias).to(loss.dtype) / temperature
            logits = linear(part, weight, bias).to(loss.dtype)
            aimed = logits.gather(1, aims)
            likely, wanted_scale = _softmax(wanted.clone())
            slopes, scale = _softmax(logits / temperature)
            # sum of p (log p - log q) = p . (wanted - logits / T), less the scale of one and plus that of the other
            apart = torch.linalg.vecdot(likely, wanted) - torch.linalg.vecdot(likely, logits) / temperature
            loss += soft * temperature**2 * (apart[:, None] - wanted_scale + scale).sum()
            slopes.sub_(likely).mul_(soft * temperature)
            powers, scale = _softmax(logits)
            loss += hard * ((scale - aimed) * has_label).sum()
            slopes.addcmul_(powers, hard * has_label)
            slopes.scatter_add_(1, aims, -hard * has_label)
            slopes = slopes.to(part.dtype)
            slopes_hidden[start : start + rows] = slopes @ weight
            slopes_weight += slopes.t() @ part
            if slopes_bias is not None:
                slopes_bias += slopes.sum(0)
        ctx.slopes = (slopes_hidden, slopes_weight, slopes_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return (*take_slopes(ctx, *outer), *[None] * 5)


def _softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """In place, the softmax of each row; and the log of its denominator, [rows, 1]."""
    highest = logits.amax(dim=-1, keepdim=True)
    powers = logits.sub_(highest).exp_()
    sums = powers.sum(dim=-1, keepdim=True)
    return powers.div_(sums), highest + sums.log()
