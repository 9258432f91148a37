"""What the weights of a torch model are stored as, and its linear layers in int8."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.ao.nn.quantized.dynamic import Linear as Int8Linear
from transformers.pytorch_utils import Conv1D

from harness.engines.base import Weights
from harness.errors import HarnessError

FILE = "model.int8.safetensors"
_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16", torch.int8: "int8", torch.qint8: "int8"}
_ONCE_A_SOURCE = ("EncDecAttention.k", "EncDecAttention.v", "encoder_attn.k_proj", "encoder_attn.v_proj")
"""Projections of what the encoder made: computed once for a source, not once a step."""


def count_weights(model: Any, bytes_on_disk: int) -> Weights:
    """Count the weights of a loaded model, tied ones once, and what its linear layers read for a decode step."""
    elements: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    step_bytes = 0
    encoder = model.get_encoder() if model.config.is_encoder_decoder else None
    once = set(encoder.modules()) if encoder is not None else set()
    for parameter in model.parameters():
        elements[_NAMES[parameter.dtype]] += parameter.numel()
    for name, module in model.named_modules():
        if not isinstance(module, (torch.nn.Linear, Conv1D, Int8Linear)):
            continue
        operators[type(module).__name__ if not isinstance(module, Int8Linear) else "int8 Linear"] += 1
        weight: Any = module.weight
        if isinstance(module, Int8Linear):
            weight = weight()
            elements["int8"] += weight.numel()
        if module not in once and not name.endswith(_ONCE_A_SOURCE):
            step_bytes += weight.numel() * weight.element_size()
    return Weights(bytes_on_disk, dict(elements), dict(operators), step_bytes)


def save_int8(model: Any, folder: Path) -> None:
    """Write the model with the weights of its linear layers, GPT-2's ``Conv1D`` included, as int8 with one scale an
    output channel, symmetric: ``scale = max |w| / 127``. All else stays as it is."""
    tensors = {}
    linear = dict(_linear_layers(model))
    for name, module in linear.items():
        weight = (module.weight.T if isinstance(module, Conv1D) else module.weight).detach().float()
        scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
        tensors[f"{name}.int8"] = (weight / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
        tensors[f"{name}.scale"] = scale
        if module.bias is not None:
            tensors[f"{name}.bias"] = module.bias.detach()
    left_out = {f"{name}.{part}" for name in linear for part in ("weight", "bias")}
    left_out |= set(model._tied_weights_keys or ())
    tensors |= {name: tensor for name, tensor in model.state_dict().items() if name not in left_out}
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, folder / FILE)


def load_int8(folder: Path, skeleton: Any) -> Any:
    """Fill a model without weights from what :func:`save_int8` wrote: linear layers that quantise their input as it
    comes, and multiply in int8.

    Raises HarnessError where the file does not hold the whole model.
    """
    tensors = load_file(folder / FILE)
    linear = dict(_linear_layers(skeleton))
    try:
        quantised = {
            name: (tensors.pop(f"{name}.int8"), tensors.pop(f"{name}.scale"), tensors.pop(f"{name}.bias", None))
            for name in linear
        }
    except KeyError as error:
        raise HarnessError(f"{FILE} does not fit the model: it has no {error.args[0]}") from None
    left = skeleton.load_state_dict(tensors, strict=False, assign=True)
    skeleton.tie_weights()
    own = {f"{name}.{part}" for name in linear for part in ("weight", "bias")}
    tied = set(skeleton._tied_weights_keys or ())
    if missing := set(left.missing_keys) - own - tied:
        raise HarnessError(f"{FILE} does not fit the model: it has no {min(missing)}")
    for name, parts in quantised.items():
        parent, _, last = name.rpartition(".")
        setattr(skeleton.get_submodule(parent), last, _int8_layer(*parts))
    return skeleton


def _int8_layer(values: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None) -> Any:
    """A linear layer with weights ``values`` [out, in] times ``scale`` [out]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch means to replace these kernels; on CPUs nothing is faster
        layer: Any = Int8Linear(values.shape[1], values.shape[0], bias_=bias is not None)  # type: ignore[no-untyped-call]
        zeros = torch.zeros(len(scale), dtype=torch.int64)
        layer.set_weight_bias(torch._make_per_channel_quantized_tensor(values, scale.double(), zeros, 0), bias)
    return layer


def _linear_layers(model: Any) -> Iterator[tuple[str, Any]]:
    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Linear, Conv1D)):
            yield name, module
