"""Checkpoint -> ONNX -> quantised ONNX, as cached artefacts."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from harness.candidates.artefacts import MANIFEST, ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines.onnx_weights import count_weights, write_weights
from harness.errors import HarnessError
from harness.records.environment import installed_version
from harness.records.hashing import code_digest

TASKS = {"causal": "text-generation-with-past", "masked": "fill-mask", "seq2seq": "text2text-generation-with-past"}
FILES = {
    "causal": ("model.onnx",),
    "masked": ("model.onnx",),
    "seq2seq": ("encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx"),
}
READ = "read"
"""The input of an exported graph that names the hidden states to make logits of, as indices into [batch * length]."""
_MAKERS = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime")


def exported(checkpoint: Checkpoint, store: ArtefactStore) -> Path:
    """The checkpoint as fp32 ONNX with inputs for the KV cache, exported by optimum."""

    def export(folder: Path) -> None:
        from optimum.exporters.onnx import main_export

        try:
            with _quiet():
                main_export(
                    str(checkpoint.path),
                    folder,
                    task=TASKS[checkpoint.family],
                    do_validation=False,
                    library_name="transformers",
                    framework="pt",
                    local_files_only=True,
                )
        except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise HarnessError(f"optimum cannot export {checkpoint.path.name}: {first}") from error
        for merged in folder.glob("*_merged.onnx*"):
            merged.unlink()
        for name in FILES[checkpoint.family]:
            model = onnx.load(folder / name, load_external_data=False)
            if any(output.name == "logits" for output in model.graph.output):
                read_before_head(model)
                onnx.save(model, folder / name)
        _count(folder, checkpoint.family)

    made_from = {"weights": checkpoint.weights_hash, **_made_by()}
    return store.get("onnx-fp32", checkpoint.path.name, made_from, export).path


def quantised(checkpoint: Checkpoint, store: ArtefactStore, isa: tuple[str, ...]) -> Path:
    """The exported model with int8 weights, per channel, and activations quantised as they come.

    Weights are signed where the CPU has VNNI or is an ARM, else unsigned: AVX2's multiply of unsigned by signed bytes
    saturates.
    """
    source = exported(checkpoint, store)
    target = "arm64" if "asimd" in isa else "avx512_vnni" if {"avx512_vnni", "avx_vnni"} & set(isa) else "avx2"

    def quantise(folder: Path) -> None:
        from optimum.onnxruntime import ORTQuantizer
        from optimum.onnxruntime.configuration import AutoQuantizationConfig

        configuration = getattr(AutoQuantizationConfig, target)(is_static=False, per_channel=True)
        with _quiet():
            for name in FILES[checkpoint.family]:
                quantiser = ORTQuantizer.from_pretrained(source, file_name=name)
                quantiser.quantize(save_dir=folder, quantization_config=configuration, file_suffix="")
        _count(folder, checkpoint.family)
        for extra in source.glob("*.json"):
            if extra.name != MANIFEST and not (folder / extra.name).exists():
                shutil.copyfile(extra, folder / extra.name)

    made_from = {"weights": checkpoint.weights_hash, "target": target, **_made_by()}
    return store.get("onnx-int8", checkpoint.path.name, made_from, quantise).path


def read_before_head(model: onnx.ModelProto) -> None:
    """Let the graph take ``read`` [count] and make logits [count, vocabulary] of those hidden states alone.

    The head is the matrix product nearest before ``logits``; what follows it (a bias, a scale) works on fewer rows and
    needs no change. Raises HarnessError where there is none.
    """
    graph = model.graph
    made_by = {output: node for node in graph.node for output in node.output}
    node = made_by.get("logits")
    while node is not None and node.op_type not in ("MatMul", "Gemm"):
        node = next((made_by[name] for name in node.input if name in made_by), None)
    if node is None:
        raise HarnessError("the exported graph has no matrix product before its logits")
    hidden = node.input[0]
    width = onnx.helper.make_node("Shape", [hidden], [f"{READ}_width"], start=-1)
    rows = onnx.helper.make_node("Constant", [], [f"{READ}_rows"], value_ints=[-1])
    shape = onnx.helper.make_node("Concat", [f"{READ}_rows", f"{READ}_width"], [f"{READ}_shape"], axis=0)
    flat = onnx.helper.make_node("Reshape", [hidden, f"{READ}_shape"], [f"{READ}_flat"])
    gather = onnx.helper.make_node("Gather", [f"{READ}_flat", READ], [f"{READ}_hidden"], axis=0)
    node.input[0] = f"{READ}_hidden"
    place = list(graph.node).index(node)
    for offset, new in enumerate((rows, width, shape, flat, gather)):
        graph.node.insert(place + offset, new)
    graph.input.append(onnx.helper.make_tensor_value_info(READ, onnx.TensorProto.INT64, [f"{READ}_count"]))
    del graph.value_info[:]
    (logits,) = (output for output in graph.output if output.name == "logits")
    vocabulary = logits.type.tensor_type.shape.dim[-1]
    size = vocabulary.dim_value or vocabulary.dim_param
    logits.CopyFrom(
        onnx.helper.make_tensor_value_info("logits", logits.type.tensor_type.elem_type, [f"{READ}_count", size])
    )


def _count(folder: Path, family: str) -> None:
    files = [folder / name for name in FILES[family]]
    write_weights(folder, count_weights(files, files[-1:]))


def _made_by() -> dict[str, object]:
    return {"code": code_digest("engines"), "versions": {name: installed_version(name) for name in _MAKERS}}


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter and the quantiser log thousands of lines on the root logger; errors still come through."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
