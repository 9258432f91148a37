"""The distillation loss: soft targets, hard targets, and hidden states that point the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as functional

from harness.candidates.spec import DistillationSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class DistillationLoss:
    """soft * T^2 * KL(teacher || student at temperature T) + hard * cross-entropy + cosine * (1 - cos of the last
    hidden states), each a mean over positions (Hinton et al. 2015, section 2; Sanh et al. 2019, section 3).

    Divided by soft + hard + cosine, so that the learning rate means what it means without a teacher.
    """

    def __init__(self, teacher: PreTrainedModel, spec: DistillationSpec) -> None:
        self.teacher, self.spec = teacher.eval(), spec

    def __call__(self, student: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss of one batch, a scalar."""
        spec = self.spec
        with torch.no_grad():
            taught = self.teacher(**_without_labels(inputs), output_hidden_states=True)
        learnt = student(**inputs, output_hidden_states=True)
        loss = spec.hard * learnt.loss
        loss = loss + spec.soft * soft_target_loss(learnt.logits, taught.logits, spec.temperature)
        loss = loss + spec.cosine * cosine_loss(_last_hidden(learnt), _last_hidden(taught))
        return torch.as_tensor(loss / (spec.soft + spec.hard + spec.cosine))


def soft_target_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 * KL(teacher || student) of logits [..., vocabulary] softened by T, mean over positions."""
    entries = student.shape[-1]
    wanted = functional.log_softmax(teacher.reshape(-1, entries) / temperature, dim=-1)
    given = functional.log_softmax(student.reshape(-1, entries) / temperature, dim=-1)
    return functional.kl_div(given, wanted, reduction="batchmean", log_target=True) * temperature**2


def cosine_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """1 - cosine of hidden states [..., width], mean over positions. Shapes must be equal."""
    return (1 - functional.cosine_similarity(student, teacher, dim=-1)).mean()


def _last_hidden(output: Any) -> torch.Tensor:
    """The last hidden states [batch, length, width]; of an encoder and a decoder, the decoder's."""
    states: torch.Tensor = (output.get("hidden_states") or output["decoder_hidden_states"])[-1]
    return states


def _without_labels(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in inputs.items() if name != "labels"}
