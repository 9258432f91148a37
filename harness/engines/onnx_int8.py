"""Dynamic int8 for onnxruntime: products that quantise their input as it comes, on weights that were quantised before.

onnxruntime's own quantiser makes the same of a graph (``DynamicQuantizeMatMul``), but holds the weights five times
while it does, and gives all rows of a table of embeddings one scale; here weights are taken one by one, and every row
has its own.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_model

from harness.engines.onnx_graph import drop_unused, load_graph

_NARROWEST = 16
"""Tables with shorter rows, such as biases by distance, are left as they are."""
_CONTRIBUTED = "com.microsoft"


def to_int8(file: Path, signed: bool) -> onnx.ModelProto:
    """The graph with int8 in place of its two-dimensional weights: products with one scale an output, tables of
    embeddings with one a row; ``w = scale (q - zero)``, ``scale = max |w| / 127``.

    ``signed`` weights have zero 0, unsigned ones 128.
    """
    model = load_graph(file)
    graph = model.graph
    weights = {t.name: t for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) == 2}
    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    nodes, biased = [], set()
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights:
            bias = _bias_after(node, users, graph) if node.op_type == "MatMul" else None
            nodes.append(_product(graph, node, weights[node.input[1]], file.parent, signed, bias))
            if bias is not None:
                biased.add(bias.output[0])
        elif node.op_type == "Gather" and node.input[0] in weights and weights[node.input[0]].dims[1] >= _NARROWEST:
            nodes.extend(_lookup(graph, node, weights[node.input[0]], file.parent))
        elif node.output[0] not in biased:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    if all(opset.domain != _CONTRIBUTED for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_CONTRIBUTED, 1))
    drop_unused(model)
    load_external_data_for_model(model, str(file.parent))
    return model


def quantise(weight: NDArray[np.float32], axis: int, signed: bool) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Bytes of the weight's shape, and the scales along the axis that is kept: symmetric, from -127 to 127."""
    scale = np.maximum(np.abs(weight).max(axis=axis, keepdims=True), 1e-12) / 127
    rounded = np.rint(weight / scale)
    if signed:
        return rounded.astype(np.int8), scale.astype(np.float32)
    return (rounded + 128).astype(np.uint8), scale.astype(np.float32)


def _product(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    tensor: onnx.TensorProto,
    folder: Path,
    signed: bool,
    bias: onnx.NodeProto | None,
) -> onnx.NodeProto:
    transposed = any(each.name == "transB" and each.i for each in node.attribute)
    name = f"{tensor.name}.{'rows' if transposed else 'columns'}"
    if all(each.name != f"{name}.int8" for each in graph.initializer):
        weight = numpy_helper.to_array(tensor, str(folder))
        values, scale = quantise(weight.T if transposed else weight, 0, signed)
        zero = np.full(values.shape[1], 0 if signed else 128, dtype=values.dtype)
        _add(graph, {f"{name}.int8": np.ascontiguousarray(values), f"{name}.scale": scale[0], f"{name}.zero": zero})
    inputs = [node.input[0], f"{name}.int8", f"{name}.scale", f"{name}.zero"]
    output = node.output[0]
    if bias is not None:
        inputs.append(next(each for each in bias.input if each != node.output[0]))
        output = bias.output[0]
    elif len(node.input) == 3:
        inputs.append(node.input[2])
    return helper.make_node("DynamicQuantizeMatMul", inputs, [output], domain=_CONTRIBUTED)


def _lookup(
    graph: onnx.GraphProto, node: onnx.NodeProto, tensor: onnx.TensorProto, folder: Path
) -> list[onnx.NodeProto]:
    name, output = f"{tensor.name}.table", node.output[0]
    if all(each.name != f"{name}.int8" for each in graph.initializer):
        values, scale = quantise(numpy_helper.to_array(tensor, str(folder)), 1, signed=True)
        _add(graph, {f"{name}.int8": values, f"{name}.scale": scale})
    return [
        helper.make_node("Gather", [f"{name}.int8", node.input[1]], [f"{output}.int8"], axis=0),
        helper.make_node("Gather", [f"{name}.scale", node.input[1]], [f"{output}.scale"], axis=0),
        helper.make_node("Cast", [f"{output}.int8"], [f"{output}.cast"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [f"{output}.cast", f"{output}.scale"], [output]),
    ]


def _bias_after(
    node: onnx.NodeProto, users: dict[str, list[onnx.NodeProto]], graph: onnx.GraphProto
) -> onnx.NodeProto | None:
    """The addition of a row of numbers that is the only use of a product."""
    after = users[node.output[0]]
    if len(after) != 1 or after[0].op_type != "Add":
        return None
    rows = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 1}
    return after[0] if any(name in rows for name in after[0].input) else None


def _add(graph: onnx.GraphProto, tensors: dict[str, NDArray[Any]]) -> None:
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in tensors.items())
