"""GPT-2 checkpoints as GGUF, the file that llama.cpp loads; and what the weights of a GGUF file are stored as."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from harness.engines.base import Weights
from harness.errors import HarnessError, UnavailableError

if TYPE_CHECKING:
    import gguf

FILE = "model.gguf"
WEIGHTS = "weights.json"

_TANH_GELUS = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")
_BUFFERS = re.compile(r"\.attn\.(masked_)?bias$")
"""Causal masks, which old checkpoints store beside the weights."""
_TRANSPOSED = re.compile(r"\.(c_attn|c_proj|c_fc)\.weight$")
"""Weights of Conv1D, [in, out], where a linear layer's are [out, in]."""
_LOOKED_UP = ("token_embd.weight", "position_embd.weight", "token_types.weight")
_FLOATS = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
_INTEGERS = re.compile(r"I?Q(\d)_")


def write_gpt2(checkpoint: Path, file: Path) -> None:
    """Write the safetensors of a GPT-2 checkpoint as an F32 GGUF file, without a tokenizer: ids come from outside.

    Raises UnavailableError for another architecture and for a shape of GPT-2 that llama.cpp has no graph for.
    """
    import gguf

    configuration = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    if reason := _refusal(configuration):
        raise UnavailableError(reason)
    width = configuration["n_embd"]
    writer = gguf.GGUFWriter(file, "gpt2")
    writer.add_name(checkpoint.name)
    writer.add_context_length(configuration["n_positions"])
    writer.add_embedding_length(width)
    writer.add_block_count(configuration["n_layer"])
    writer.add_feed_forward_length(configuration.get("n_inner") or 4 * width)
    writer.add_head_count(configuration["n_head"])
    writer.add_layer_norm_eps(configuration.get("layer_norm_epsilon", 1e-5))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(configuration["vocab_size"])
    try:
        for name, tensor in _tensors(checkpoint, configuration):
            writer.add_tensor(name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def count_weights(file: Path) -> Weights:
    """Count the weights of a GGUF file, by the bits of the type that each tensor is stored in.

    A decode step multiplies by every matrix but those that are looked up; a tied embedding is both. Raises HarnessError
    for a file that is no GGUF or is cut short.
    """
    try:
        tensors = _whole_reader()(file).tensors
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise HarnessError(f"{file.name} is not a GGUF file, or it is cut short") from error
    elements: Counter[str] = Counter()
    for tensor in tensors:
        elements[_stored(tensor.tensor_type)] += int(tensor.n_elements)
    tied = all(tensor.name != "output.weight" for tensor in tensors)
    looked_up = _LOOKED_UP[1:] if tied else _LOOKED_UP
    matrices = [tensor for tensor in tensors if len(tensor.shape) > 1 and tensor.name not in looked_up]
    return Weights(
        bytes_on_disk=file.stat().st_size,
        elements=dict(elements),
        operators={"mul_mat": len(matrices)},
        step_bytes=sum(int(tensor.n_bytes) for tensor in matrices),
    )


def _whole_reader() -> type[gguf.GGUFReader]:
    """The library's reader, which would go on for hours behind the end of a file that announces too much."""
    import gguf

    class WholeReader(gguf.GGUFReader):
        def _get(self, offset: int, dtype: npt.DTypeLike, count: int = 1, *order: Any, **other: Any) -> NDArray[Any]:
            if offset + int(count) * np.dtype(dtype).itemsize > self.data.size:
                raise ValueError("the file ends early")
            return super()._get(offset, dtype, count, *order, **other)

    return WholeReader


def write_weights(folder: Path) -> None:
    """Count the weights of the GGUF file in a folder, once: a reader of headers need not be loaded with a session."""
    (folder / WEIGHTS).write_text(json.dumps(asdict(count_weights(folder / FILE)), indent=1), encoding="utf-8")


def read_weights(folder: Path) -> Weights:
    """The counts of a prepared folder."""
    return Weights(**json.loads((folder / WEIGHTS).read_text(encoding="utf-8")))


def _refusal(configuration: Mapping[str, Any]) -> str | None:
    """Why llama.cpp's graph of GPT-2 would not compute this model; None where it does."""
    if configuration.get("model_type") != "gpt2":
        return "only GPT-2 shapes are written to GGUF"
    activation = configuration.get("activation_function", "gelu_new")
    if activation not in _TANH_GELUS:
        return f"llama.cpp computes GPT-2 with the tanh form of GELU, not with {activation}"
    if configuration.get("scale_attn_by_inverse_layer_idx") or not configuration.get("scale_attn_weights", True):
        return "llama.cpp scales GPT-2's attention by the width of a head and by nothing else"
    if configuration.get("pruned_heads"):
        return "llama.cpp's GPT-2 has heads of all the width in every layer; here some were pruned"
    return None


def _tensors(checkpoint: Path, configuration: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The weights under llama.cpp's names, in its orientation; a tied head is left out."""
    import gguf
    import torch
    from safetensors import safe_open

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, configuration["n_layer"])
    tied = configuration.get("tie_word_embeddings", True)
    for file in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for stored in weights.keys():  # noqa: SIM118 (it is no mapping)
                if _BUFFERS.search(stored) or (tied and stored == "lm_head.weight"):
                    continue
                full = stored if stored.startswith(("transformer.", "lm_head.")) else f"transformer.{stored}"
                name = names.get_name(full, try_suffixes=(".weight", ".bias"))
                if name is None:
                    raise UnavailableError(f"llama.cpp's GPT-2 has no place for the tensor {stored}")
                tensor = weights.get_tensor(stored).to(torch.float32).numpy()
                yield name, np.ascontiguousarray(tensor.T if _TRANSPOSED.search(stored) else tensor)


def _stored(kind: gguf.GGMLQuantizationType) -> str:
    """``Q4_0`` and its kin are told by their bits alone, as int4; what has no whole number of bits keeps its name."""
    if bits := _INTEGERS.match(kind.name):
        return f"int{bits[1]}"
    return _FLOATS.get(kind.name, kind.name.lower())
