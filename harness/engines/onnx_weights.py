"""What the weights of an ONNX graph are stored as, and which matrix products read them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from harness.engines.base import Weights
from harness.errors import HarnessError

FILE = "weights.json"
PRODUCTS = ("MatMul", "Gemm", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulNBits",
            "FusedMatMul", "Attention", "QGemm")  # fmt: skip
"""Operators that multiply by weights."""
_STORED = {
    onnx.TensorProto.FLOAT: "fp32",
    onnx.TensorProto.FLOAT16: "fp16",
    onnx.TensorProto.BFLOAT16: "bf16",
    onnx.TensorProto.INT8: "int8",
    onnx.TensorProto.UINT8: "int8",
}
_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}


def count_weights(files: Sequence[Path], step: Sequence[Path]) -> Weights:
    """Count the weights of the graphs in ``files``; ``step`` are those of them that run for one decode step."""
    elements: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    step_bytes = 0
    for file in files:
        graph = _load(file).graph
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        packed = {name for node in graph.node if node.op_type == "MatMulNBits" for name in node.input[1:2]}
        for name, tensor in tensors.items():
            if kind := _STORED.get(tensor.data_type):
                count = math.prod(tensor.dims)
                if name in packed:
                    elements["int4"] += 2 * count
                else:
                    elements[kind] += count
        for node in graph.node:
            if node.op_type not in PRODUCTS:
                continue
            read = _weights_of(node, tensors)
            if read:
                operators[node.op_type] += 1
            if file in step:
                step_bytes += sum(_bytes(tensors[name]) for name in read)
    stored = [*files, *{data for file in files for data in file.parent.glob("*.onnx_data")}]
    size = sum(file.stat().st_size for file in stored)
    return Weights(size, dict(elements), dict(operators), step_bytes)


def _load(file: Path) -> onnx.ModelProto:
    """The graph without what lies beside it. Raises HarnessError for a file that is none."""
    try:
        return onnx.load(file, load_external_data=False)
    except DecodeError as error:
        raise HarnessError(f"{file.name} is not an ONNX file, or it is damaged") from error


def write_weights(folder: Path, weights: Weights) -> None:
    """Keep the counts beside the graphs, so that a session need not read these twice."""
    (folder / FILE).write_text(json.dumps(asdict(weights), indent=1), encoding="utf-8")


def read_weights(folder: Path) -> Weights:
    """The counts of a prepared folder."""
    return Weights(**json.loads((folder / FILE).read_text(encoding="utf-8")))


def _weights_of(node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]) -> Iterable[str]:
    """The initialisers that a product reads, of more than a scalar."""
    return [name for name in node.input if name in tensors and math.prod(tensors[name].dims) > 1]


def _bytes(tensor: onnx.TensorProto) -> int:
    elements: int = math.prod(tensor.dims)
    return elements * _BYTES.get(_STORED.get(tensor.data_type, ""), 4)
