"""GPT-2 written as GGUF, read back by the gguf package: no llama.cpp is needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from harness.candidates.checkpoint import Checkpoint, count_parameters
from harness.engines.base import Weights
from harness.engines.gguf_export import FILE, count_weights, read_weights, write_gpt2, write_weights
from harness.errors import HarnessError, UnavailableError


@pytest.fixture
def checkpoint(tiny_checkpoints: dict[str, Checkpoint], tmp_path: Path) -> Path:
    """A copy that a test may change."""
    folder = tmp_path / "gpt2-tiny"
    shutil.copytree(tiny_checkpoints["causal"].path, folder)
    return folder


def _configure(checkpoint: Path, **changes: object) -> None:
    file = checkpoint / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def _write(checkpoint: Path) -> dict[str, np.ndarray]:
    file = checkpoint / FILE
    write_gpt2(checkpoint, file)
    return {tensor.name: tensor.data for tensor in gguf.GGUFReader(file).tensors}


def _count(checkpoint: Path) -> Weights:
    write_gpt2(checkpoint, checkpoint / FILE)
    return count_weights(checkpoint / FILE)


def test_weights_stand_under_the_names_and_in_the_orientation_of_llama_cpp(checkpoint: Path):
    stored, written = load_file(checkpoint / "model.safetensors"), _write(checkpoint)
    assert len(written) == 4 + 2 * 12
    for name, theirs in [
        ("token_embd.weight", stored["transformer.wte.weight"]),
        ("position_embd.weight", stored["transformer.wpe.weight"]),
        ("blk.1.attn_qkv.weight", stored["transformer.h.1.attn.c_attn.weight"].T),
        ("blk.1.attn_qkv.bias", stored["transformer.h.1.attn.c_attn.bias"]),
        ("blk.0.ffn_down.weight", stored["transformer.h.0.mlp.c_proj.weight"].T),
        ("output_norm.weight", stored["transformer.ln_f.weight"]),
    ]:
        assert np.array_equal(written[name], theirs), name


def test_the_shape_of_the_model_is_written(checkpoint: Path):
    write_gpt2(checkpoint, checkpoint / FILE)
    fields = gguf.GGUFReader(checkpoint / FILE).fields
    shape = {key.removeprefix("gpt2."): field.contents() for key, field in fields.items() if key.startswith("gpt2.")}
    assert shape == {
        "context_length": 96,
        "embedding_length": 32,
        "block_count": 2,
        "feed_forward_length": 128,
        "attention.head_count": 2,
        "attention.layer_norm_epsilon": pytest.approx(1e-5),
        "vocab_size": 400,
    }


def test_names_without_the_prefix_and_stored_masks_are_understood_as_in_the_first_gpt2(checkpoint: Path):
    expected = _write(checkpoint)
    stored = load_file(checkpoint / "model.safetensors")
    old = {name.removeprefix("transformer."): tensor for name, tensor in stored.items()}
    old["h.0.attn.bias"] = np.tril(np.ones((1, 1, 96, 96), dtype=np.float32))
    save_file({**old, "h.0.attn.masked_bias": np.array(-1e4, dtype=np.float32)}, checkpoint / "model.safetensors")
    written = _write(checkpoint)
    assert written.keys() == expected.keys()
    assert all(np.array_equal(written[name], expected[name]) for name in expected)


def test_a_head_of_its_own_is_written_and_the_embedding_then_only_looked_up(checkpoint: Path):
    stored = load_file(checkpoint / "model.safetensors")
    stored["lm_head.weight"] = stored["transformer.wte.weight"] + 1
    save_file(stored, checkpoint / "model.safetensors")
    tied = _count(checkpoint)
    _configure(checkpoint, tie_word_embeddings=False)
    untied = _count(checkpoint)
    assert untied.elements["fp32"] == tied.elements["fp32"] + 400 * 32
    assert untied.step_bytes == tied.step_bytes
    assert np.array_equal(_write(checkpoint)["output.weight"], stored["lm_head.weight"])


def test_weights_are_counted_and_a_step_reads_all_matrices_but_the_positions(
    checkpoint: Path, tiny_checkpoints: dict[str, Checkpoint]
):
    weights = _count(checkpoint)
    assert weights.elements == {"fp32": count_parameters(tiny_checkpoints["causal"])}
    assert weights.operators == {"mul_mat": 2 * 4 + 1}
    assert weights.step_bytes == 4 * (2 * 12 * 32 * 32 + 400 * 32)
    assert weights.bytes_on_disk == (checkpoint / FILE).stat().st_size
    write_weights(checkpoint)
    assert read_weights(checkpoint) == weights


def test_quantised_types_are_counted_by_their_bits(tmp_path: Path):
    writer = gguf.GGUFWriter(tmp_path / FILE, "llama")
    matrix = np.random.default_rng(0).normal(size=(4, 256)).astype(np.float32)
    for name in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q6_K"):
        kind = gguf.GGMLQuantizationType[name]
        data = np.zeros((4, 210), dtype=np.uint8) if name == "Q6_K" else gguf.quants.quantize(matrix, kind)
        writer.add_tensor(f"blk.0.{name.lower()}.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    weights = count_weights(tmp_path / FILE)
    assert weights.elements == {"fp32": 1024, "fp16": 1024, "bf16": 1024, "int8": 1024, "int4": 2048, "int5": 1024,
                                "int6": 1024}  # fmt: skip
    assert weights.quantised_share == pytest.approx(5 / 8)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "llama"}, "only GPT-2 shapes are written to GGUF"),
        ({"activation_function": "relu"}, "tanh form of GELU, not with relu"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scales GPT-2's attention by the width of a head"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(checkpoint: Path, changes: dict[str, object], reason: str):
    _configure(checkpoint, **changes)
    with pytest.raises(UnavailableError, match=reason):
        write_gpt2(checkpoint, checkpoint / FILE)


def test_a_tensor_without_a_place_is_refused_by_name(checkpoint: Path):
    stored = load_file(checkpoint / "model.safetensors")
    stored["transformer.h.0.crossattention.q_attn.weight"] = np.zeros((32, 32), dtype=np.float32)
    save_file(stored, checkpoint / "model.safetensors")
    with pytest.raises(UnavailableError, match=r"no place for the tensor transformer\.h\.0\.crossattention"):
        write_gpt2(checkpoint, checkpoint / FILE)


@pytest.mark.parametrize("damage", [b"not gguf", b""])
def test_a_file_that_is_no_gguf_is_one_clear_line(tmp_path: Path, damage: bytes):
    (tmp_path / FILE).write_bytes(damage)
    with pytest.raises(HarnessError, match=r"model\.gguf is not a GGUF file, or it is cut short"):
        count_weights(tmp_path / FILE)


@pytest.mark.parametrize("kept", [6, 300, 1500, 60_000])
def test_a_file_that_is_cut_short_is_one_clear_line(checkpoint: Path, kept: int):
    write_gpt2(checkpoint, checkpoint / FILE)
    (checkpoint / FILE).write_bytes((checkpoint / FILE).read_bytes()[:kept])
    with pytest.raises(HarnessError, match="cut short"):
        count_weights(checkpoint / FILE)


def test_an_array_that_is_announced_longer_than_the_file_is_one_clear_line(checkpoint: Path):
    """The library's reader alone would go on behind the end, entry by entry, for hours."""
    key, text_array, nested = b"general.tags", (9).to_bytes(4, "little"), (8).to_bytes(4, "little")
    entry = len(key).to_bytes(8, "little") + key + text_array + nested + (1 << 60).to_bytes(8, "little")
    header = b"GGUF" + (3).to_bytes(4, "little") + (0).to_bytes(8, "little") + (1).to_bytes(8, "little")
    (checkpoint / FILE).write_bytes(header + entry + b"\0" * 64)
    with pytest.raises(HarnessError, match="cut short"):
        count_weights(checkpoint / FILE)
