"""Attention as one operator, with a KV cache that lies still.

An exported graph joins the past with the present at every layer, which copies the whole cache at every token, and
computes attention by some thirty small operators. onnxruntime's ``GroupQueryAttention`` (a contributed operator) does
both in one, and appends to the cache in place where its past and present are the same memory.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from harness.engines.onnx_graph import PAST, PRESENT, READ, drop_unused, load_graph

FUSED = "model_fused.onnx"
SEQUENCE_LENGTHS = "seqlens_k"
TOTAL_LENGTH = "total_sequence_length"
_TOLERANCE = 1e-3
_FLAT, _HEADS = "attention_flat_shape", "attention_heads_shape"
_CONTRIBUTED = "com.microsoft"
_SWAP = [0, 2, 1, 3]


class NotFused(Exception):
    """The graph's attention has another form than the one that can be fused."""


def fuse_beside(exported_file: Path) -> None:
    """Write ``model_fused.onnx`` beside an exported causal graph, on the same weights, if its attention can be fused.

    The fused graph must give the logits of the exported one on a prompt and on a step after it, or it is not kept.
    """
    configuration = json.loads(exported_file.with_name("config.json").read_text(encoding="utf-8"))
    heads = configuration.get("num_attention_heads") or configuration.get("n_head")
    windowed = configuration.get("sliding_window") and configuration.get("use_sliding_window", True)
    if not heads or windowed:  # six tokens would not show what a window leaves out
        return
    fused_file = exported_file.with_name(FUSED)
    model = load_graph(exported_file)
    try:
        fuse_attention(model, heads, configuration.get("num_key_value_heads") or heads)
        flatten_no_products(model)
    except NotFused:
        return
    onnx.save(model, fused_file)
    if not _agree(exported_file, fused_file):
        fused_file.unlink()


def fuse_attention(model: onnx.ModelProto, heads: int, kv_heads: int) -> None:
    """Replace the attention of every layer, between its query, key and value [batch, heads, length, size of a head] and
    its output of that shape, and let the cache be of a fixed size [batch, heads, room, size of a head].

    The graph takes two new inputs: ``seqlens_k`` [batch], the length of each row with the new tokens less one, and
    ``total_sequence_length`` (a scalar), the longest of them. Raises NotFused for another form of attention.
    """
    graph = model.graph
    inputs = {each.name for each in graph.input}
    layers = sum(name.startswith(PAST) and name.endswith(".key") for name in inputs)
    if not layers:
        raise NotFused("the graph has no cache")
    attention = {}
    for layer in range(layers):
        replaced, nodes = _layer(graph, layer, heads, kv_heads)
        attention[replaced] = nodes
    ordered = []
    for node in graph.node:
        ordered.append(node)
        ordered.extend(attention.get(node.output[0], ()))
    del graph.node[:]
    graph.node.extend(ordered)
    graph.initializer.append(helper.make_tensor(_FLAT, onnx.TensorProto.INT64, [3], [0, 0, -1]))
    graph.initializer.append(helper.make_tensor(_HEADS, onnx.TensorProto.INT64, [4], [0, 0, heads, -1]))
    graph.input.append(helper.make_tensor_value_info(SEQUENCE_LENGTHS, onnx.TensorProto.INT32, ["batch_size"]))
    graph.input.append(helper.make_tensor_value_info(TOTAL_LENGTH, onnx.TensorProto.INT32, []))
    for each in (*graph.input, *graph.output):
        if each.name.startswith((PAST, PRESENT)):
            each.type.tensor_type.shape.dim[2].dim_param = "room"
    if all(opset.domain != _CONTRIBUTED for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_CONTRIBUTED, 1))
    drop_unused(model)


def flatten_no_products(model: onnx.ModelProto) -> None:
    """Let products with weights take [batch, length, width] as it is, where the exporter makes one row of a batch
    before and takes it apart afterwards, with a dozen operators on shapes (GPT-2's ``Conv1D``)."""
    graph = model.graph
    made_by, users = _makers_and_users(graph)
    replaced: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        before, after = made_by.get(node.input[0]) if node.input else None, users[node.output[0]]
        if node.op_type != "Gemm" or len(node.input) != 3 or any(a.name == "transB" and a.i for a in node.attribute):
            continue
        if before is None or before.op_type != "Reshape" or [each.op_type for each in after] != ["Reshape"]:
            continue
        product = f"{node.output[0]}.product"
        replaced[after[0].output[0]] = [
            helper.make_node("MatMul", [before.input[0], node.input[1]], [product]),
            helper.make_node("Add", [product, node.input[2]], [after[0].output[0]]),
        ]
    nodes = []
    for node in graph.node:
        nodes.extend(replaced.get(node.output[0], [node]))
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(model)


def _layer(graph: onnx.GraphProto, layer: int, heads: int, kv_heads: int) -> tuple[str, list[onnx.NodeProto]]:
    """The nodes that take the place of a layer's attention, and the output of the node behind which they belong."""
    made_by, users = _makers_and_users(graph)
    past = {kind: f"{PAST}{layer}.{kind}" for kind in ("key", "value")}
    present = {kind: f"{PRESENT}{layer}.{kind}" for kind in ("key", "value")}
    joins = {}
    for kind, name in present.items():
        join = made_by.get(name)
        if join is None or join.op_type != "Concat" or len(join.input) != 2 or join.input[0] != past[kind]:
            raise NotFused(f"layer {layer} does not append to its {kind} cache")
        joins[kind] = join
    scores, weighted = (_next_product(graph, present[kind]) for kind in ("key", "value"))
    made = f"attention.{layer}."
    nodes = []

    def by_position(name: str, kind: str) -> str:
        """A tensor [batch, heads, length, size] as [batch, length, heads * size]: as it was, if it was that before."""
        transpose = made_by.get(name)
        if transpose is not None and _swaps_heads(transpose):
            reshape = made_by.get(transpose.input[0])
            if reshape is not None and reshape.op_type == "Reshape":
                return str(reshape.input[0])
        nodes.append(helper.make_node("Transpose", [name], [f"{made}{kind}.positions"], perm=_SWAP))
        nodes.append(helper.make_node("Reshape", [f"{made}{kind}.positions", _FLAT], [made + kind]))
        return made + kind

    parts = (_before_scaling(scores.input[0], made_by), joins["key"].input[1], joins["value"].input[1])
    new = [by_position(name, kind) for name, kind in zip(parts, ("query", "key", "value"), strict=True)]
    nodes.append(
        helper.make_node(
            "GroupQueryAttention",
            [*new, past["key"], past["value"], SEQUENCE_LENGTHS, TOTAL_LENGTH],
            [f"{made}output", present["key"], present["value"]],
            domain=_CONTRIBUTED,
            num_heads=heads,
            kv_num_heads=kv_heads,
        )
    )
    place = weighted.output[0]
    after = users[place]
    joined = users[after[0].output[0]] if len(after) == 1 and _swaps_heads(after[0]) else []
    joined = [node for node in joined if node.op_type != "Shape"]
    if [node.op_type for node in joined] == ["Reshape"]:  # [batch, length, heads * size] is what comes next
        nodes[-1].output[0] = joined[0].output[0]
        joined[0].output[0] = f"{made}unused.joined"
    else:
        nodes.append(helper.make_node("Reshape", [f"{made}output", _HEADS], [f"{made}heads"]))
        nodes.append(helper.make_node("Transpose", [f"{made}heads"], [place], perm=_SWAP))
        weighted.output[0] = place = f"{made}unused.output"
    for kind, join in joins.items():
        join.output[0] = f"{made}unused.{kind}"
    return place, nodes


def _makers_and_users(graph: onnx.GraphProto) -> tuple[dict[str, onnx.NodeProto], dict[str, list[onnx.NodeProto]]]:
    """The node that makes each tensor, and those that take it."""
    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    return {output: node for node in graph.node for output in node.output}, users


def _swaps_heads(node: onnx.NodeProto) -> bool:
    """Whether a node turns [batch, length, heads, size] into [batch, heads, length, size], or back."""
    return node.op_type == "Transpose" and list(node.attribute[0].ints) == _SWAP


def _next_product(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    """The first matrix product that a tensor flows into."""
    queue, seen = deque([name]), {name}
    while queue:
        current = queue.popleft()
        for node in graph.node:
            if current not in node.input or node.op_type == "Shape":
                continue
            if node.op_type == "MatMul":
                return node
            queue.extend(output for output in node.output if output not in seen)
            seen.update(node.output)
    raise NotFused(f"{name} flows into no matrix product")


def _before_scaling(name: str, made_by: dict[str, onnx.NodeProto]) -> str:
    """The query before it is multiplied by the scale of attention, which the operator does itself."""
    node = made_by.get(name)
    while node is not None and node.op_type in ("Mul", "Div") and _is_root(node.input[1], made_by):
        name = node.input[0]
        node = made_by.get(name)
    return name


def _is_root(name: str, made_by: dict[str, onnx.NodeProto]) -> bool:
    """Whether a number is a square root, cast or not: the scale of attention, half of it on each of its factors."""
    node = made_by.get(name)
    while node is not None and node.op_type == "Cast":
        node = made_by.get(node.input[0])
    return node is not None and node.op_type == "Sqrt"


def _agree(exported_file: Path, fused_file: Path) -> bool:
    """Whether two graphs of one model give the same logits for a prompt of five tokens and for a step after it."""
    expected = _two_logits(exported_file, 0)
    try:
        found = _two_logits(fused_file, 6)
    except Exception:  # noqa: BLE001 - onnxruntime's exception classes have no public base
        return False
    return all(
        np.allclose(one, other, atol=_TOLERANCE * np.abs(one).max(), rtol=_TOLERANCE)
        for one, other in zip(expected, found, strict=True)
    )


def _two_logits(file: Path, room: int) -> list[Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), [each.name for each in session.get_outputs()]
    ids = np.arange(1, 7, dtype=np.int64)[np.newaxis]
    shapes = {each.name: each.shape for each in inputs if each.name.startswith(PAST)}
    state = {name: np.zeros((1, shape[1], room, shape[3]), dtype=np.float32) for name, shape in shapes.items()}
    logits = []
    for past, new in ((0, ids[:, :5]), (5, ids[:, 5:])):
        values = {**step_inputs(new, past, np.arange(new.size)), **state}
        results = session.run(None, {each.name: values[each.name] for each in inputs})
        by_name = dict(zip(outputs, results, strict=True))
        logits.append(by_name.pop("logits"))
        state = {name.replace(PRESENT, PAST): value for name, value in by_name.items()}
    return logits


def step_inputs(ids: Any, past: int, read: Any) -> dict[str, Any]:
    """All inputs but the cache that a causal graph may take, for tokens [batch, length] after ``past`` tokens."""
    batch, length = ids.shape
    return {
        "input_ids": ids,
        "attention_mask": np.ones((batch, past + length), dtype=np.int64),
        "position_ids": np.tile(np.arange(past, past + length, dtype=np.int64), (batch, 1)),
        SEQUENCE_LENGTHS: np.full(batch, past + length - 1, dtype=np.int32),
        TOTAL_LENGTH: np.array(past + length, dtype=np.int32),
        READ: read,
    }
