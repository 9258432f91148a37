"""What a model gives before its head, and which positions the head is asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.corpora.corruption import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LEAST_LOGITS, MOST_LOGITS = 1 << 22, 1 << 24
"""16 and 64 MiB in fp32. Arrays above 32 MiB are new pages of the system's each time; fewer logits at once would add to
the gradient of a large head too often."""


def shifts(model: PreTrainedModel) -> bool:
    """Whether a position predicts the next one, so that the first of a block is never predicted."""
    return not model.config.is_encoder_decoder and model.config.model_type not in ("bert", "distilbert")


def labelled(model: PreTrainedModel, labels: Tensor) -> Tensor:
    """How many positions of a batch are predicted, a scalar."""
    return ((labels[:, 1:] if shifts(model) else labels) != IGNORED).sum()


def rows_at_once(weight: Tensor) -> int:
    """How many rows of logits exist at once for a head [entries, width]: about as many logits as it has weights."""
    return max(1, min(max(weight.numel(), LEAST_LOGITS), MOST_LOGITS) // len(weight))


def take_slopes(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients that a function computed with its loss and kept as ``ctx.slopes``, times that of the loss."""
    slopes, ctx.slopes = ctx.slopes, None  # held once only, they become the gradients without a copy
    return tuple(None if each is None else each.mul_(factor) for each in slopes)


def accurate(dtype: torch.dtype) -> torch.dtype:
    """What losses are computed in where the weights have this type: fp32, or a wider one that they have themselves."""
    return torch.promote_types(dtype, torch.float32)


def before_the_head(model: PreTrainedModel, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """What the head would be applied to, and the last hidden states (of an encoder and a decoder, the decoder's), both
    [batch, length, width]. The head itself is given nothing to do."""
    caught: list[Tensor] = []

    def catch(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        caught.append(given[0])
        return (given[0][:, :0],)

    # a causal model that is given no mask builds one, in case that several texts were packed into a block
    plain: dict[str, Any] = {"attention_mask": torch.ones_like(inputs["input_ids"]), "output_hidden_states": True}
    if model.can_generate():
        plain["use_cache"] = False
    hook = model.get_output_embeddings().register_forward_pre_hook(catch)
    try:
        output = model(**inputs, **plain)
    finally:
        hook.remove()
    states = output.get("hidden_states") or output["decoder_hidden_states"]
    return caught[0], states[-1]
