"""What cannot be exported is skipped with the reason; what breaks on the way is not hidden."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from transformers import XLNetConfig, XLNetLMHeadModel

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint, open_checkpoint
from harness.engines.export import exported
from harness.errors import UnavailableError


def test_an_architecture_that_optimum_does_not_know_is_unavailable(tiny_checkpoints: dict[str, Checkpoint], tmp_path):
    folder = tmp_path / "xlnet"
    XLNetLMHeadModel(XLNetConfig(vocab_size=400, d_model=32, n_layer=1, n_head=2, d_inner=32)).save_pretrained(folder)
    shutil.copyfile(tiny_checkpoints["causal"].path / "tokenizer.json", folder / "tokenizer.json")
    with pytest.raises(UnavailableError, match=r"optimum cannot export xlnet to ONNX: .*; engine 'torch' runs it"):
        exported(open_checkpoint(folder, "causal"), ArtefactStore(tmp_path / "cache"))


def test_a_fault_while_exporting_is_not_taken_for_an_unknown_architecture(
    tiny_checkpoints: dict[str, Checkpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def break_down(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("harness.engines.export.attach_weights", break_down)
    with pytest.raises(RuntimeError, match="out of memory") as caught:
        exported(tiny_checkpoints["causal"], ArtefactStore(tmp_path))
    assert not isinstance(caught.value, UnavailableError)
