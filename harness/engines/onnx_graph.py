"""Surgery on ONNX graphs whose weights lie in a file beside them: the graphs are small and quickly rewritten."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from onnx import helper
from onnx.external_data_helper import set_external_data

from harness.candidates.artefacts import MANIFEST
from harness.engines.onnx_weights import FILE as WEIGHTS_FILE
from harness.errors import HarnessError

READ = "read"
"""The input of a graph that names the hidden states to make logits of, as indices into [batch * length]."""
PAST, PRESENT = "past_key_values.", "present."
"""How the inputs and the outputs of the KV cache begin, as optimum names them."""
_SMALL_BYTES = 1024
"""Tensors up to this size stay inside the graph, where shape inference and constant folding see them."""
_TYPES = {torch.float32: onnx.TensorProto.FLOAT, torch.int64: onnx.TensorProto.INT64, torch.bool: onnx.TensorProto.BOOL}


def load_graph(file: Path) -> onnx.ModelProto:
    """The graph without the weights that lie beside it."""
    return onnx.load(file, load_external_data=False)


def attach_weights(file: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Turn those inputs of a graph that are named as weights into weights, each in a file beside it.

    What the exporter would have folded is folded here: the weights of linear layers are stored as their products read
    them, transposed. A table that is also looked up stays as it is, stored once.
    """
    model = load_graph(file)
    graph = model.graph
    names = [each.name for each in graph.input if each.name in weights]
    _skip_identities(graph, set(names))
    transposed = _fold_transposes(graph, set(names))
    for number, name in enumerate(names):
        tensor = weights[name].detach()
        array = (tensor.T if name in transposed else tensor).contiguous().numpy()
        stored = onnx.TensorProto(name=name, data_type=_TYPES[tensor.dtype], dims=array.shape, raw_data=b"")
        if array.nbytes <= _SMALL_BYTES:
            stored.raw_data = array.tobytes()
        else:
            beside = file.with_name(f"{file.name}.{number}")
            array.tofile(beside)
            set_external_data(stored, beside.name)
            stored.ClearField("raw_data")
        graph.initializer.append(stored)
    kept = [each for each in graph.input if each.name not in weights]
    del graph.input[:]
    graph.input.extend(kept)
    onnx.save(model, file)


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
    nodes = [
        helper.make_node("Constant", [], [f"{READ}_rows"], value_ints=[-1]),
        helper.make_node("Shape", [hidden], [f"{READ}_width"], start=-1),
        helper.make_node("Concat", [f"{READ}_rows", f"{READ}_width"], [f"{READ}_shape"], axis=0),
        helper.make_node("Reshape", [hidden, f"{READ}_shape"], [f"{READ}_flat"]),
        helper.make_node("Gather", [f"{READ}_flat", READ], [f"{READ}_hidden"], axis=0),
    ]
    node.input[0] = f"{READ}_hidden"
    transposing = made_by.get(node.input[1])
    tied = transposing is not None and transposing.op_type == "Transpose" and node.op_type == "MatMul"
    if transposing is not None and tied:  # rows are flat now, so the product can read the table as it is stored
        node.op_type, node.domain = "Gemm", ""
        node.input[1] = transposing.input[0]
        node.attribute.append(helper.make_attribute("transB", 1))
    place = list(graph.node).index(node)
    for offset, new in enumerate(nodes):
        graph.node.insert(place + offset, new)
    graph.input.append(helper.make_tensor_value_info(READ, onnx.TensorProto.INT64, [f"{READ}_count"]))
    (logits,) = (output for output in graph.output if output.name == "logits")
    vocabulary = logits.type.tensor_type.shape.dim[-1]
    size = vocabulary.dim_value or vocabulary.dim_param
    logits.CopyFrom(helper.make_tensor_value_info("logits", logits.type.tensor_type.elem_type, [f"{READ}_count", size]))
    drop_unused(model)


def drop_unused(model: onnx.ModelProto) -> None:
    """Leave out nodes, inputs and weights that no output depends on."""
    graph = model.graph
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if any(output in needed for output in node.output):
            kept.append(node)
            needed.update(node.input)
    for field, values in (
        (graph.node, list(reversed(kept))),
        (graph.input, [each for each in graph.input if each.name in needed]),
        (graph.initializer, [each for each in graph.initializer if each.name in needed]),
    ):
        del field[:]
        field.extend(values)
    del graph.value_info[:]


def copy_companions(source: Path, target: Path) -> None:
    """Copy what lies beside the graphs of one folder into another: configurations and the tokenizer."""
    for file in source.iterdir():
        if file.suffix in (".json", ".txt", ".model") and file.name not in (MANIFEST, WEIGHTS_FILE):
            shutil.copyfile(file, target / file.name)


def _skip_identities(graph: onnx.GraphProto, names: set[str]) -> None:
    """Let users of a weight's identity use the weight."""
    same = {
        node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity" and node.input[0] in names
    }
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in same:
                node.input[index] = same[name]


def _fold_transposes(graph: onnx.GraphProto, names: set[str]) -> set[str]:
    """Do away with transposes of weights that have no other use; returns the weights to be stored transposed."""
    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)

    def only_transposed(name: str) -> bool:
        return bool(users[name]) and all(
            node.op_type == "Transpose" and list(node.attribute[0].ints) == [1, 0] for node in users[name]
        )

    folded = {name for name in names if only_transposed(name)}
    for name in folded:
        for transpose in users[name]:
            for node in users[transpose.output[0]]:
                for index, used in enumerate(node.input):
                    if used == transpose.output[0]:
                        node.input[index] = name
    kept = [n for n in graph.node if n.op_type not in ("Transpose", "Identity") or n.input[0] not in folded]
    del graph.node[:]
    graph.node.extend(kept)
    return folded
