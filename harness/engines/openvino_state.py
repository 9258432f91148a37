"""Rewrites a decoder so that its KV cache stays inside OpenVINO, as the state of a request."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.engines.openvino_library import ov

PAST, PRESENT = "past_key_values", "present"
BEAM = "beam_idx"
"""An added input, int32 [batch]: which row of the cache each row continues. OpenVINO recognises a cache by it."""
_SWAP_LAST_TWO = [0, 1, 3, 2]


def fuse_attention(model: Any) -> None:
    """Put OpenVINO's one operator for attention in place of the products and the softmax that were exported.

    With it OpenVINO appends to the cache in place; without it, it copies the whole cache in every step. Attention that
    is written in another way stays as it is. The guard against rows without any visible position, which would be not a
    number, goes: no such row is ever scored.
    """
    for softmax in model.get_ordered_ops():
        if softmax.get_type_name() == "Softmax":
            _fuse(softmax)
    model.validate_nodes_and_infer_types()


def _fuse(softmax: Any) -> None:
    """softmax(query · key + mask) · value, where the key is transposed and may be scaled."""
    from openvino import opset13 as ops

    readers = [reader.get_node() for reader in softmax.output(0).get_target_inputs()]
    shares = next((node for node in readers if node.get_type_name() == "Select"), softmax)
    readers = [reader.get_node() for reader in shares.output(0).get_target_inputs()]
    scores, mask = _scores(_unconverted(softmax.input_value(0).get_node()))
    if scores is None or [node.get_type_name() for node in readers] != ["MatMul"]:
        return
    query, key = scores.input_values()
    if key.get_node().get_type_name() == "Multiply":
        key, scale = key.get_node().input_values()
        query = ops.multiply(query, scale).output(0)
    transpose = key.get_node()
    if transpose.get_type_name() != "Transpose":
        return
    key, order = transpose.input_values()
    if order.get_node().get_type_name() != "Constant":
        return
    order = order.get_node().get_data()[_SWAP_LAST_TWO]
    if list(order) != [0, 1, 2, 3]:
        key = ops.transpose(key, ops.constant(order)).output(0)
    product = readers[0]
    attention = ops.scaled_dot_product_attention(
        query, key, product.input_value(1), ops.constant(np.float32(0)) if mask is None else mask,
        ops.constant(np.float32(1)), causal=False,
    )  # fmt: skip
    product.output(0).replace(attention.output(0))


def _scores(node: Any) -> tuple[Any, Any]:
    """The product of query and key, and what is added to it; nothing where there is no such product."""
    if node.get_type_name() == "MatMul":
        return node, None
    if node.get_type_name() == "Add":
        first, second = node.input_values()
        if first.get_node().get_type_name() == "MatMul":
            return first.get_node(), second
        if second.get_node().get_type_name() == "MatMul":
            return second.get_node(), first
    return None, None


def _unconverted(node: Any) -> Any:
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node


def keep_cache(model: Any) -> None:
    """Turn every pair of a past and a present into a variable of the request, empty for any batch after a reset.

    A past without its present, such as the keys and values of a seq2seq model's source, stays an input.
    """
    from openvino import opset13 as ops

    inputs = {port.any_name: port.get_node() for port in model.inputs}
    outputs = {port.any_name: port.get_node() for port in model.outputs}
    beam = ops.parameter([-1], ov.Type.i32, name=BEAM)
    beam.output(0).set_names({BEAM})
    model.add_parameters([beam])
    first = ops.constant(np.array(0))
    batch = ops.gather(ops.shape_of(inputs["input_ids"], "i64"), ops.constant(np.array([0])), first)
    for name, parameter in inputs.items():
        result = outputs.get(name.replace(PAST, PRESENT))
        if not name.startswith(PAST) or result is None:
            continue
        variable = _variable(name, parameter)
        sizes = [0 if size.is_dynamic else size.get_length() for size in parameter.get_partial_shape()][1:]
        shape = ops.concat([batch, ops.constant(np.array(sizes, dtype=np.int64))], 0)
        empty = ops.broadcast(ops.constant(np.float32(0)), shape)
        past = ops.gather(ov.op.read_value(empty, variable), beam, first)
        parameter.output(0).replace(past.output(0))
        model.add_sinks([ov.op.assign(result.input_value(0).get_node(), variable)])
        model.remove_result(result)
        model.remove_parameter(parameter)
    model.validate_nodes_and_infer_types()


def _variable(name: str, parameter: Any) -> Any:
    info = ov.op.util.VariableInfo()
    info.variable_id = name
    info.data_shape = parameter.get_partial_shape()
    info.data_type = parameter.get_element_type()
    return ov.op.util.Variable(info)
