"""No pickle is ever loaded, wherever it lies."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hostile import CreatesAFile, write_pickle
from tiny import TINY
from typer.testing import CliRunner

from harness.candidates.checkpoint import load_model, open_checkpoint
from harness.cli import app
from harness.errors import HarnessError
from harness.training.loop import STATE
from harness.training.recipe import train


@pytest.fixture
def copy(tiny_checkpoints, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_checkpoints["causal"].path, folder)
    return folder


def pickled_only(folder: Path, mark: Path, name: str = "pytorch_model.bin") -> None:
    (folder / "model.safetensors").unlink()
    write_pickle(folder / name, mark)


def test_the_pickle_of_these_tests_would_do_something(tmp_path):
    mark = tmp_path / "mark"
    pickle.load(io.BytesIO(pickle.dumps(CreatesAFile(mark))))  # noqa: S301 - our own, to show that it works
    assert mark.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.pkl", "model.ckpt"])
def test_a_checkpoint_of_a_pickle_alone_is_refused(copy, tmp_path, name):
    pickled_only(copy, tmp_path / "mark", name)
    with pytest.raises(HarnessError, match=rf"{name} is a pickle, which is never loaded") as refused:
        open_checkpoint(copy, "causal")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "mark").exists()


def test_the_command_line_refuses_it_with_one_line(copy, tmp_path, monkeypatch):
    pickled_only(copy, tmp_path / "mark")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    done = CliRunner().invoke(app, ["generate", str(copy), "The people", "--offline"])
    assert isinstance(done.exception, HarnessError)
    assert "is a pickle, which is never loaded" in str(done.exception)
    assert not (tmp_path / "mark").exists()


def test_a_safetensors_file_that_is_not_the_model_does_not_let_a_pickle_in(copy, tmp_path):
    (copy / "model.safetensors").rename(copy / "adapter.safetensors")
    write_pickle(copy / "pytorch_model.bin", tmp_path / "mark")
    with pytest.raises(HarnessError, match=r"pytorch_model\.bin is a pickle"):
        open_checkpoint(copy, "causal")


@pytest.mark.parametrize(
    "part", ["pytorch_model.bin", "../elsewhere.safetensors", "/etc/passwd", "sub/model.safetensors", 7]
)
def test_an_index_names_safetensors_files_of_its_folder_alone(copy, tmp_path, part):
    write_pickle(copy / "pytorch_model.bin", tmp_path / "mark")
    shutil.copy(copy / "model.safetensors", tmp_path / "elsewhere.safetensors")
    index = {"metadata": {}, "weight_map": {"transformer.wte.weight": part}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(HarnessError, match=r"which is no \.safetensors file in its folder"):
        open_checkpoint(copy, "causal")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": ["b"]}}'])
def test_an_index_that_is_none_is_refused(copy, content):
    (copy / "model.safetensors.index.json").write_text(content)
    with pytest.raises(HarnessError, match="is no index of safetensors files"):
        open_checkpoint(copy, "causal")


def test_weights_are_loaded_though_a_pickle_lies_beside(copy, tmp_path):
    write_pickle(copy / "pytorch_model.bin", tmp_path / "mark")
    open_checkpoint(copy, "causal")
    load_model(copy, "causal")
    assert not (tmp_path / "mark").exists()


def test_the_state_of_an_unfinished_training_run_is_read_without_unpickling_objects(corpus, tmp_path):
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "out").mkdir()
    torch.save({"done": 1, "model": CreatesAFile(tmp_path / "mark")}, tmp_path / "unfinished" / STATE)
    with suppress(pickle.UnpicklingError):  # refused or passed over, but not run
        train(TINY["causal"], corpus, tmp_path / "out", lambda share, word: None, unfinished=tmp_path / "unfinished")
    assert not (tmp_path / "mark").exists()
