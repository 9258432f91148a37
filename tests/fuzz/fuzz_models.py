"""Kinds of input that are models: checkpoint folders with safetensors, GGUF files and ONNX graphs."""

from __future__ import annotations

import io
import json
import struct
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from fuzz_mutations import as_json, damaged, damaged_numbers, damaged_value
from fuzz_property import Kind

from harness.candidates.checkpoint import load_tokenizer, open_checkpoint
from harness.engines import gguf_export, onnx_weights

_CONFIGURATION = {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "n_positions": 16, "vocab_size": 12}


@cache
def safetensors_file() -> bytes:
    """Two small tensors."""
    import numpy as np
    from safetensors.numpy import save

    return save({"wte.weight": np.ones((12, 8), np.float32), "h.0.bias": np.zeros(8, np.float32)}, {"format": "pt"})


@cache
def tokenizer_file() -> bytes:
    """A tokenizer of twelve words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: index for index, word in enumerate(["<unk>", "the", "people", "want", "peace"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer.to_str(pretty=True).encode()


@cache
def gguf_file() -> bytes:
    """A GGUF file with metadata of several types and tensors of two."""
    import gguf
    import numpy as np

    with TemporaryDirectory() as folder:
        path = Path(folder) / gguf_export.FILE
        writer = gguf.GGUFWriter(path, "gpt2")
        writer.add_name("tiny")
        writer.add_context_length(16)
        writer.add_token_list(["<unk>", "the", "people"])
        writer.add_layer_norm_eps(1e-5)
        writer.add_tensor("token_embd.weight", np.ones((12, 32), np.float32))
        writer.add_tensor("blk.0.ffn_up.weight", np.ones((4, 32), np.float16))
        writer.add_tensor(
            "blk.0.ffn_down.weight",
            gguf.quantize(np.ones((4, 32), np.float32), gguf.GGMLQuantizationType.Q4_0),
            raw_dtype=gguf.GGMLQuantizationType.Q4_0,
        )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


@cache
def onnx_file() -> bytes:
    """A graph of two matrix products, one of them in four bits."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    weights = numpy_helper.from_array(np.ones((8, 8), np.float32), "w")
    packed = numpy_helper.from_array(np.zeros((8, 1, 16), np.uint8), "q")
    scales = numpy_helper.from_array(np.ones(8, np.float32), "s")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node(
            "MatMulNBits", ["h", "q", "s"], ["y"], domain="com.microsoft", K=8, N=8, bits=4, block_size=32
        ),
    ]
    floats = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 8]) for name in "xy"]
    graph = helper.make_graph(nodes, "tiny", floats[:1], floats[1:], [weights, packed, scales])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    kept = io.BytesIO()
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=9), kept)
    return kept.getvalue()


def _write_safetensors(rng: Random, folder: Path) -> None:
    content = safetensors_file()
    (length,) = struct.unpack("<Q", content[:8])
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    match rng.randrange(4):
        case 0:
            content = damaged(rng, content)
        case 1:
            content = damaged_numbers(rng, content, 16)
        case _:
            text = as_json(damaged_value(rng, header)).encode()
            announced = rng.choice((len(text), len(text), len(text) + 1, 2**63, 2**64 - 1, 0, 1))
            content = struct.pack("<Q", announced) + text + rest
    _place_checkpoint(folder, {"model.safetensors": content})


def _read_safetensors(given: Path, taken: Path) -> None:
    open_checkpoint(given / "checkpoint", "causal")


def _write_tokenizer(rng: Random, folder: Path) -> None:
    content = tokenizer_file()
    by_value = rng.random() < 0.6
    content = as_json(damaged_value(rng, json.loads(content))).encode() if by_value else damaged(rng, content)
    _place_checkpoint(folder, {"tokenizer.json": content})


def _read_tokenizer(given: Path, taken: Path) -> None:
    load_tokenizer(given / "checkpoint")


def _write_gguf(rng: Random, folder: Path) -> None:
    content = gguf_file()
    for _ in range(rng.randint(1, 2)):
        content = damaged_numbers(rng, content, 700) if rng.random() < 0.7 else damaged(rng, content)
    (folder / gguf_export.FILE).write_bytes(content)


def _read_gguf(given: Path, taken: Path) -> None:
    gguf_export.count_weights(given / gguf_export.FILE)


def _write_onnx(rng: Random, folder: Path) -> None:
    content = onnx_file()
    content = damaged(rng, content) if rng.random() < 0.6 else damaged_numbers(rng, content, len(content))
    (folder / "model.onnx").write_bytes(content)


def _read_onnx(given: Path, taken: Path) -> None:
    file = given / "model.onnx"
    onnx_weights.count_weights([file], [file])


def _place_checkpoint(folder: Path, changed: dict[str, bytes]) -> None:
    (folder / "checkpoint").mkdir()
    sound = {
        "config.json": json.dumps(_CONFIGURATION).encode(),
        "tokenizer.json": tokenizer_file(),
        "model.safetensors": safetensors_file(),
    }
    for name, content in {**sound, **changed}.items():
        (folder / "checkpoint" / name).write_bytes(content)


KINDS = (
    Kind("safetensors", _write_safetensors, _read_safetensors),
    Kind("tokenizers", _write_tokenizer, _read_tokenizer, in_worker=True),
    Kind("gguf", _write_gguf, _read_gguf, in_worker=True),
    Kind("onnx", _write_onnx, _read_onnx, in_worker=True),
)
