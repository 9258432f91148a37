"""Checkpoint -> ONNX by optimum, as a cached artefact: small graphs, with their weights in files beside them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import onnx
import torch

from harness.candidates.artefacts import Artefact, ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines.onnx_fusion import FUSED, fuse_beside
from harness.engines.onnx_graph import attach_weights, load_graph, read_before_head
from harness.engines.onnx_weights import count_weights, write_weights
from harness.errors import UnavailableError
from harness.records.environment import installed_version
from harness.records.hashing import code_digest

TASKS = {"causal": "text-generation-with-past", "masked": "fill-mask", "seq2seq": "text2text-generation-with-past"}
FILES = {
    "causal": ("model.onnx",),
    "masked": ("model.onnx",),
    "seq2seq": ("encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx"),
}
_CODE = tuple(
    f"engines/{name}.py"
    for name in ("export", "onnx_graph", "onnx_fusion", "onnx_int8", "onnx_quantise", "onnx_weights")
)
_MAKERS = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime")


def exported(checkpoint: Checkpoint, store: ArtefactStore) -> Artefact:
    """The checkpoint as fp32 ONNX with inputs for the KV cache and ``read``; a graph with fused attention lies beside.

    torch's exporter would hold five copies of the weights at once, so that it is given none: it exports the graph
    alone, and the weights are written from the model one by one. Raises UnavailableError where optimum cannot export
    the model, and where it may run code of its own.
    """

    if checkpoint.trust_remote_code:
        raise UnavailableError("a checkpoint with code of its own is not exported; engine 'torch' runs it as it is")

    def export(folder: Path) -> None:
        from optimum.exporters.onnx import main_export

        configuration = json.loads((checkpoint.path / "config.json").read_text(encoding="utf-8"))
        if checkpoint.family != "masked" and configuration.get("pruned_heads"):
            raise UnavailableError(
                "optimum cannot export the KV cache of a model with pruned heads; engine 'torch' runs it as it is"
            )
        try:
            with quiet(), mock.patch("torch.onnx.export", _without_weights(torch.onnx.export)):
                main_export(
                    str(checkpoint.path),
                    folder,
                    task=TASKS[checkpoint.family],
                    do_validation=False,
                    no_post_process=True,
                    library_name="transformers",
                    framework="pt",
                    local_files_only=True,
                    trust_remote_code=False,
                )
        except (ValueError, KeyError, NotImplementedError, torch.onnx.OnnxExporterError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise UnavailableError(
                f"optimum cannot export {checkpoint.path.name} to ONNX: {first}; engine 'torch' runs it as it is"
            ) from error
        for name in FILES[checkpoint.family]:
            model = load_graph(folder / name)
            if any(output.name == "logits" for output in model.graph.output):
                read_before_head(model)
                onnx.save(model, folder / name)
        if checkpoint.family == "causal":
            fuse_beside(folder / FILES["causal"][0])
        count(folder, checkpoint.family)

    return store.get("onnx-fp32", checkpoint.path.name, {"weights": checkpoint.weights_hash, **made_by()}, export)


def graphs_of(folder: Path, family: str, device: str = "cpu") -> list[Path]:
    """The graphs of a prepared folder for onnxruntime: on the CPU the fused one, where there is one."""
    fused = folder / FUSED
    return [fused] if device == "cpu" and fused.exists() else [folder / name for name in FILES[family]]


def count(folder: Path, family: str) -> None:
    """Write down what the weights of a folder of graphs are; the last graph is the one that runs for a step."""
    files = graphs_of(folder, family)
    write_weights(folder, count_weights(files, files[-1:]))


def made_by() -> dict[str, object]:
    """Code and versions that decide what an export is."""
    return {"code": code_digest(*_CODE), "versions": {name: installed_version(name) for name in _MAKERS}}


@contextmanager
def quiet() -> Iterator[None]:
    """The exporter and the quantisers log thousands of lines on the root logger; errors still come through."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def _without_weights(export: Any) -> Any:
    """torch's ``export``, which writes the graph alone and the model's weights into a file beside it."""

    def export_graph(model: torch.nn.Module, args: Any, f: str, **settings: Any) -> None:
        export(model, args, f, **{**settings, "export_params": False, "do_constant_folding": False})
        attach_weights(Path(f), model.state_dict(keep_vars=True))

    return export_graph
