"""Models of the published architectures with random weights, and students that start from their teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.candidates.spec import CandidateSpec
from harness.errors import HarnessError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


EMBEDDING_STD = 0.02
"""Of a fresh T5's embeddings and head, as GPT-2's and BERT's; its own 1.0 needs steps scaled by weight."""


def build_model(spec: CandidateSpec, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A model of the spec's shape with freshly initialised weights and no dropout (short budgets never overfit).

    GPT-2 uses the fused form of its own activation function; T5 keeps head and embeddings apart, as its version 1.1
    does. Raises HarnessError for a shape that the
    architecture does not take.
    """
    import transformers as hf

    entries = len(tokenizer)
    bos, eos, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    shape: dict[str, Any] = {**spec.shape, "vocab_size": entries}
    try:
        if spec.architecture == "gpt2":
            none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
            fused = {"activation_function": "gelu_pytorch_tanh"}
            return hf.GPT2LMHeadModel(hf.GPT2Config(**shape, **none, **fused, bos_token_id=bos, eos_token_id=eos))
        if spec.architecture == "bert":
            none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
            return hf.BertForMaskedLM(hf.BertConfig(**shape, **none, pad_token_id=pad))
        if spec.architecture == "distilbert":
            none = {"dropout": 0.0, "attention_dropout": 0.0}
            return hf.DistilBertForMaskedLM(hf.DistilBertConfig(**shape, **none, pad_token_id=pad))
        untied = {"tie_word_embeddings": False, "dropout_rate": 0.0}
        model = hf.T5ForConditionalGeneration(
            hf.T5Config(**shape, **untied, pad_token_id=pad, eos_token_id=eos, decoder_start_token_id=pad)
        )
        with torch.no_grad():
            model.shared.weight.mul_(EMBEDDING_STD)
            model.lm_head.weight.mul_(EMBEDDING_STD)
        return model
    except (TypeError, ValueError) as error:
        raise HarnessError(f"shape of architecture '{spec.architecture}': {error}") from error


def published_model(spec: CandidateSpec, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A model of the spec's shape as its architecture was published: its own activation function, dropout, tied head
    and initialisation. What the shape leaves out, the vocabulary included, is as published too.

    The tokenizer gives the special tokens; its entries are the first of the model's. Raises HarnessError for a shape
    that the architecture does not take, and for one with fewer entries than the tokenizer.
    """
    import transformers as hf

    bos, eos, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    special = {
        "gpt2": {"bos_token_id": bos, "eos_token_id": eos},
        "bert": {"pad_token_id": pad},
        "distilbert": {"pad_token_id": pad},
        "t5": {"pad_token_id": pad, "eos_token_id": eos, "decoder_start_token_id": pad},
    }
    kinds = {
        "gpt2": (hf.GPT2Config, hf.GPT2LMHeadModel),
        "bert": (hf.BertConfig, hf.BertForMaskedLM),
        "distilbert": (hf.DistilBertConfig, hf.DistilBertForMaskedLM),
        "t5": (hf.T5Config, hf.T5ForConditionalGeneration),
    }
    architecture = str(spec.architecture)
    configure, build = kinds[architecture]
    try:
        configuration = configure(**spec.shape, **special[architecture])
        if configuration.vocab_size < len(tokenizer):
            raise HarnessError(
                f"shape of architecture '{architecture}': vocab_size {configuration.vocab_size} is less than the "
                f"{len(tokenizer)} entries of the tokenizer; 'vocabulary' makes that smaller"
            )
        return build(configuration)
    except (TypeError, ValueError) as error:
        raise HarnessError(f"shape of architecture '{architecture}': {error}") from error


def start_at_unigram(model: PreTrainedModel, counts: NDArray[np.int64]) -> None:
    """Set a masked model's head bias to log word frequencies, so that training does not begin by learning them."""
    head = model.get_output_embeddings()
    if head is None or getattr(head, "bias", None) is None:
        return
    frequencies = (counts + 1) / (counts + 1).sum()
    with torch.no_grad():
        head.bias.copy_(torch.from_numpy(np.log(frequencies)).to(head.bias.dtype))


def start_from_teacher(student: PreTrainedModel, teacher: PreTrainedModel) -> list[int]:
    """Copy embeddings, head and every k-th layer of the teacher into the student (Sanh et al. 2019, section 3); of an
    encoder and a decoder alike.

    Returns the teacher layers that were taken. Raises HarnessError where the two shapes do not fit.
    """
    pair = (teacher.config.model_type, student.config.model_type)
    if pair not in (("gpt2", "gpt2"), ("bert", "distilbert"), ("bert", "bert"), ("t5", "t5")):
        raise HarnessError(f"cannot start a {pair[1]} student from a {pair[0]} teacher")
    strides = {}
    for prefix, key in _STACKS[pair[1]].items():
        layers, wanted = getattr(teacher.config, key), getattr(student.config, key)
        if layers % wanted:
            raise HarnessError(f"a student of {wanted} layers does not divide a teacher of {layers}")
        strides[prefix] = layers // wanted
    source = teacher.state_dict()
    if pair == ("bert", "distilbert"):
        source = _as_distilbert(source)
    weights = {}
    for name, weight in student.state_dict().items():
        origin = _teacher_name(name, strides)
        if origin not in source or source[origin].shape != weight.shape:
            raise HarnessError(f"student weight {name} has no counterpart of shape {list(weight.shape)} in the teacher")
        weights[name] = source[origin]
    student.load_state_dict(weights)
    student.tie_weights()
    stride = next(iter(strides.values()))
    return [layer * stride for layer in range(student.config.num_hidden_layers)]


_STACKS = {
    "gpt2": {"transformer.h": "num_hidden_layers"},
    "bert": {"bert.encoder.layer": "num_hidden_layers"},
    "distilbert": {"distilbert.transformer.layer": "num_hidden_layers"},
    "t5": {"encoder.block": "num_hidden_layers", "decoder.block": "num_decoder_layers"},
}
"""Where an architecture keeps its layers, and the key of its configuration that counts them."""


def _teacher_name(name: str, strides: dict[str, int]) -> str:
    """The teacher's weight that a student's weight of this name starts from."""
    for prefix, stride in strides.items():
        if name.startswith(prefix + "."):
            number, rest = name[len(prefix) + 1 :].split(".", 1)
            return f"{prefix}.{int(number) * stride}.{rest}"
    return name


_BERT_TO_DISTILBERT = {
    "bert.embeddings.": "distilbert.embeddings.",
    "bert.encoder.layer.": "distilbert.transformer.layer.",
    ".attention.self.query.": ".attention.q_lin.",
    ".attention.self.key.": ".attention.k_lin.",
    ".attention.self.value.": ".attention.v_lin.",
    ".attention.output.dense.": ".attention.out_lin.",
    ".attention.output.LayerNorm.": ".sa_layer_norm.",
    ".intermediate.dense.": ".ffn.lin1.",
    ".output.dense.": ".ffn.lin2.",
    ".output.LayerNorm.": ".output_layer_norm.",
    "cls.predictions.transform.dense.": "vocab_transform.",
    "cls.predictions.transform.LayerNorm.": "vocab_layer_norm.",
    "cls.predictions.decoder.": "vocab_projector.",
}


def _as_distilbert(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """BERT's weights under DistilBERT's names; the one segment that is used is folded into the positions."""
    renamed = {}
    for name, weight in weights.items():
        for old, new in _BERT_TO_DISTILBERT.items():
            name = name.replace(old, new)
        renamed[name] = weight
    segment = weights["bert.embeddings.token_type_embeddings.weight"][0]
    positions = "distilbert.embeddings.position_embeddings.weight"
    renamed[positions] = renamed[positions] + segment
    return renamed
