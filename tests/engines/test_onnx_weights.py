from __future__ import annotations

from pathlib import Path

import onnx
from onnx import helper

from harness.engines.onnx_weights import count_weights


def test_a_damaged_graph_with_a_packed_product_of_nothing_has_no_weights(tmp_path: Path):
    node = helper.make_node("MatMulNBits", [], ["y"])
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(helper.make_graph([node], "made by hand", [], [])), file)
    weights = count_weights([file], [file])
    assert (weights.elements, weights.operators, weights.step_bytes) == ({}, {}, 0)
