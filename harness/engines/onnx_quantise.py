"""ONNX in fewer bits, as cached artefacts: dynamic int8, 4-bit weights in blocks, fp16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from harness.candidates.artefacts import Artefact, ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines.export import FILES, count, exported, graphs_of, made_by, quiet
from harness.engines.onnx_graph import copy_companions
from harness.engines.onnx_int8 import to_int8

BLOCK = 32
"""Weights that share a scale in 4 bits."""
_INT8_COMPUTE = 4
"""``accuracy_level`` of MatMulNBits: activations become int8, and so do the products."""


def dynamic_int8(checkpoint: Checkpoint, store: ArtefactStore, isa: tuple[str, ...]) -> Artefact:
    """int8 weights, a scale a channel, with activations quantised as they come.

    Weights are signed where the CPU has VNNI or is an ARM, else unsigned: AVX2's multiply of unsigned by signed bytes
    saturates.
    """
    signed = bool({"asimd", "avx512_vnni", "avx_vnni"} & set(isa))

    def quantise(source: Path, target: Path) -> None:
        _save(to_int8(source, signed), target)

    return _quantised("onnx-int8", checkpoint, store, {"signed": signed}, quantise)


def four_bits(checkpoint: Checkpoint, store: ArtefactStore) -> Artefact:
    """4-bit weights in the matrix products (``MatMulNBits``), in blocks of 32. Embeddings stay in fp32: a step
    reads one row of their table."""
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel

    def quantise(source: Path, target: Path) -> None:
        model = ONNXModel(_loaded(source))
        model.replace_gemm_with_matmul()
        settings = DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=True, accuracy_level=_INT8_COMPUTE)
        quantiser = MatMulNBitsQuantizer(model.model, algo_config=settings)
        quantiser.process()
        _save(quantiser.model.model, target)

    return _quantised("onnx-int4", checkpoint, store, {"block": BLOCK}, quantise)


def half(checkpoint: Checkpoint, store: ArtefactStore) -> Artefact:
    """All numbers but the logits in 16 bits, for CUDA; from the graph without fused attention."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    def convert(source: Path, target: Path) -> None:
        model = convert_float_to_float16(onnx.load(source), keep_io_types=["logits"])
        _save(model, target)

    return _quantised("onnx-fp16", checkpoint, store, {"device": "cuda"}, convert)


def _quantised(
    kind: str,
    checkpoint: Checkpoint,
    store: ArtefactStore,
    settings: dict[str, object],
    quantise: Callable[[Path, Path], None],
) -> Artefact:
    """The artefact of a quantiser that turns one graph into another."""
    source, device = exported(checkpoint, store), str(settings.get("device", "cpu"))

    def build(folder: Path) -> None:
        copy_companions(source.path, folder)
        with quiet():
            for graph, name in zip(
                graphs_of(source.path, checkpoint.family, device), FILES[checkpoint.family], strict=True
            ):
                quantise(graph, folder / name)
        count(folder, checkpoint.family)

    return store.get(kind, checkpoint.path.name, {"parent": source.hash, **settings, **made_by()}, build)


def _loaded(file: Path) -> onnx.ModelProto:
    """A graph with its weights. A head that shares the table of embeddings gets a copy of its own, because the
    quantisers transpose it where it lies, under the table's name."""
    model = onnx.load(file)
    tables = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    for node in model.graph.node:
        if node.op_type == "Gemm" and node.input[1] in tables:
            (table,) = (tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
            node.input[1] = f"{table.name}.head"
            copy = model.graph.initializer.add()
            copy.CopyFrom(table)
            copy.name = node.input[1]
    return model


def _save(model: onnx.ModelProto, file: Path) -> None:
    onnx.save(model, file, save_as_external_data=True, location=f"{file.name}_data")
