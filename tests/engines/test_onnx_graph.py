"""Surgery on small graphs made by hand, run by onnxruntime before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper

from harness.engines.onnx_graph import attach_weights, drop_unused, load_graph, read_before_head
from harness.errors import HarnessError

ROWS, WIDTH = 300, 8
FLOAT = TensorProto.FLOAT


def _tensor(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def _model(nodes: list[onnx.NodeProto], inputs: dict[str, list], outputs: dict[str, list]) -> onnx.ModelProto:
    """A graph of floats, but for ``ids``."""

    def described(values: dict[str, list]) -> list[onnx.ValueInfoProto]:
        kinds = {name: TensorProto.INT64 if name == "ids" else FLOAT for name in values}
        return [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in values.items()]

    graph = helper.make_graph(nodes, "made by hand", described(inputs), described(outputs))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _run(file: Path, **inputs: np.ndarray) -> np.ndarray:
    return ort.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, inputs)[0]


def _kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def _attached(folder: Path, model: onnx.ModelProto, **weights: torch.Tensor) -> tuple[Path, onnx.ModelProto]:
    file = folder / "model.onnx"
    onnx.save(model, file)
    attach_weights(file, weights)
    return file, load_graph(file)


def test_a_weight_that_is_only_transposed_is_stored_transposed(tmp_path: Path):
    model = _model(
        [helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]), helper.make_node("MatMul", ["x", "wt"], ["y"])],
        {"x": ["n", WIDTH], "w": [ROWS, WIDTH]},
        {"y": ["n", ROWS]},
    )
    weight, x = _tensor(ROWS, WIDTH), _tensor(3, WIDTH).numpy()
    file, attached = _attached(tmp_path, model, w=weight)
    assert _kinds(attached) == ["MatMul"]
    assert list(attached.graph.initializer[0].dims) == [WIDTH, ROWS]
    assert [each.name for each in attached.graph.input] == ["x"]
    assert _run(file, x=x) == pytest.approx(x @ weight.numpy().T, abs=1e-5)


def test_a_table_that_is_also_looked_up_is_stored_once_and_as_it_is(tmp_path: Path):
    model = _model(
        [
            helper.make_node("Gather", ["w", "ids"], ["hidden"]),
            helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
            helper.make_node("MatMul", ["hidden", "wt"], ["y"]),
        ],
        {"ids": ["n"], "w": [ROWS, WIDTH]},
        {"y": ["n", ROWS]},
    )
    table, ids = _tensor(ROWS, WIDTH), np.array([5, 17])
    file, attached = _attached(tmp_path, model, w=table)
    assert _kinds(attached) == ["Gather", "Transpose", "MatMul"]
    assert [list(each.dims) for each in attached.graph.initializer] == [[ROWS, WIDTH]]
    assert _run(file, ids=ids) == pytest.approx(table.numpy()[ids] @ table.numpy().T, abs=1e-5)


def test_users_of_an_identity_use_the_weight_itself(tmp_path: Path):
    model = _model(
        [helper.make_node("Identity", ["w"], ["same"]), helper.make_node("MatMul", ["x", "same"], ["y"])],
        {"x": ["n", ROWS], "w": [ROWS, WIDTH]},
        {"y": ["n", WIDTH]},
    )
    weight, x = _tensor(ROWS, WIDTH), _tensor(2, ROWS).numpy()
    file, attached = _attached(tmp_path, model, w=weight)
    (product,) = (node for node in attached.graph.node if node.op_type == "MatMul")
    assert list(product.input) == ["x", "w"]
    assert _run(file, x=x) == pytest.approx(x @ weight.numpy(), abs=1e-4)


def test_large_weights_lie_beside_the_graph_and_small_ones_in_it(tmp_path: Path):
    model = _model(
        [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["y"])],
        {"x": ["n", ROWS], "w": [ROWS, WIDTH], "b": [WIDTH]},
        {"y": ["n", WIDTH]},
    )
    _, attached = _attached(tmp_path, model, w=_tensor(ROWS, WIDTH), b=_tensor(WIDTH))
    large, small = attached.graph.initializer
    (location,) = (entry.value for entry in large.external_data if entry.key == "location")
    assert (tmp_path / location).stat().st_size == 4 * ROWS * WIDTH
    assert len(small.raw_data) == 4 * WIDTH
    assert not small.external_data


def _head(*product: onnx.NodeProto) -> onnx.ModelProto:
    """Hidden states [batch, length, width] that are doubled, a head, and a bias after it."""
    return _model(
        [
            helper.make_node("Add", ["x", "x"], ["hidden"]),
            *product,
            helper.make_node("Add", ["product", "bias"], ["logits"]),
        ],
        {"x": ["batch", "length", WIDTH], "w": [ROWS, WIDTH], "wt": [WIDTH, ROWS], "bias": [ROWS]},
        {"logits": ["batch", "length", ROWS]},
    )


def test_a_tied_head_becomes_a_product_with_the_table_as_it_is_stored():
    model = _head(
        helper.make_node("Transpose", ["w"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["hidden", "turned"], ["product"]),
    )
    read_before_head(model)
    assert "Transpose" not in _kinds(model)
    (head,) = (node for node in model.graph.node if node.op_type == "Gemm")
    assert head.input[1] == "w"
    assert [(each.name, each.i) for each in head.attribute] == [("transB", 1)]


@pytest.mark.parametrize("tied", [True, False])
def test_only_the_positions_that_are_read_go_through_the_head(tmp_path: Path, tied: bool):
    turned = [helper.make_node("Transpose", ["w"], ["turned"], perm=[1, 0])] if tied else []
    model = _head(*turned, helper.make_node("MatMul", ["hidden", "turned" if tied else "wt"], ["product"]))
    read_before_head(model)
    onnx.save(model, tmp_path / "model.onnx")
    weight, x, bias = _tensor(ROWS, WIDTH).numpy(), _tensor(2, 5, WIDTH).numpy(), _tensor(ROWS).numpy()
    read = np.array([1, 4, 8])
    table = {"w": weight} if tied else {"wt": np.ascontiguousarray(weight.T)}
    found = _run(tmp_path / "model.onnx", x=x, bias=bias, read=read, **table)
    assert found == pytest.approx(2 * x.reshape(10, WIDTH)[read] @ weight.T + bias, abs=1e-4)


def test_a_graph_whose_logits_come_from_no_product_is_refused():
    model = _model([helper.make_node("Add", ["x", "x"], ["logits"])], {"x": ["n", 4]}, {"logits": ["n", 4]})
    with pytest.raises(HarnessError, match="no matrix product before its logits"):
        read_before_head(model)


def test_what_no_output_depends_on_is_left_out():
    model = _model(
        [
            helper.make_node("Add", ["x", "kept"], ["y"]),
            helper.make_node("Mul", ["unused", "left_out"], ["nothing"]),
            helper.make_node("Relu", ["nothing"], ["nor_this"]),
        ],
        {"x": [1], "unused": [1]},
        {"y": [1]},
    )
    for name in ("kept", "left_out"):
        model.graph.initializer.append(helper.make_tensor(name, FLOAT, [1], [1.0]))
    drop_unused(model)
    graph = model.graph
    assert _kinds(model) == ["Add"]
    assert [each.name for each in graph.input] == ["x"]
    assert [each.name for each in graph.initializer] == ["kept"]
