"""How many operations the matrix products of a prompt take: an architecture's, whatever engine runs it."""

from __future__ import annotations

from typing import Any

from harness.candidates.checkpoint import Checkpoint, load_configuration, model_class

_ATTENTION = ("bmm", "baddbmm")
"""Batched products: attention scores and their products with the values. Products with weights are not batched."""


def prefill_operations(checkpoint: Checkpoint, tokens: int) -> int | None:
    """Operations (a multiplication and an addition are two) of the matrix products until the first token is there.

    - causal: all layers at each of the ``tokens`` positions, which see no later one, so of the attention products only
      the lower triangle, (tokens + 1) / (2 tokens), counts; the head once;
    - masked: one encode, the head at all positions;
    - seq2seq: the encoder over a source of ``tokens``, and the first step of the decoder with its keys and values of
      the source.

    They are counted by torch's flop counter on a pass without numbers, so that layers that share weights or have fewer
    key than query heads count as what they do. For GPT-2 that is 2 tokens times the weights of its layers, plus
    4 tokens^2 width layers / 2 for its attention, plus the head (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
    None where the work depends on the data, as with a mixture of experts.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    trusted = checkpoint.trust_remote_code
    configuration = load_configuration(checkpoint.path, trusted)
    family = checkpoint.family
    try:
        with FakeTensorMode(), torch.no_grad():
            eager = {"attn_implementation": "eager", "trust_remote_code": trusted}
            model: Any = model_class(family).from_config(configuration, **eager).eval()
            inputs = {name: torch.ones(1, tokens, dtype=torch.long) for name in ("input_ids", "attention_mask")}
            if family == "seq2seq":
                inputs["decoder_input_ids"] = torch.ones(1, 1, dtype=torch.long)
            head = model.get_output_embeddings()
            if family == "causal" and head is not None:
                head.register_forward_pre_hook(lambda _, hidden: (hidden[0][:, -1:],))
            with FlopCounterMode(display=False) as counter:
                model(**inputs)
    except RuntimeError:
        return None
    counts = {str(name).removeprefix("aten."): count for name, count in counter.get_flop_counts()["Global"].items()}
    attention = sum(counts.pop(name, 0) for name in _ATTENTION)
    seen = attention * (tokens + 1) // (2 * tokens) if family == "causal" else attention
    return int(sum(counts.values()) + seen)
