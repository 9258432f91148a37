"""Tasks that take memory, run in real worker processes by the tests of budgets."""

from __future__ import annotations

import os

from harness.execution.orders import Outcome
from harness.execution.worker import Channel
from harness.records.record import Fact

MIB = 2**20


def perform(order: str, channel: Channel) -> Outcome:
    """Take so many MiB in the named way, ``WAY MIB``, and hand back one fact."""
    way, _, size = order.partition(" ")
    _WAYS[way](int(size) * MIB)
    return Outcome([Fact("load_seconds", value=1.0)])


def _python(size: int) -> None:
    held = []
    for _ in range(0, size, MIB):
        held.append(b"1" * MIB)


def _numpy(size: int) -> None:
    import numpy as np

    np.ones(size, dtype=np.int8)


def _torch(size: int) -> None:
    import torch

    torch.ones(size, dtype=torch.int8)


def _onnxruntime(size: int) -> None:
    import numpy as np
    import onnx
    import onnxruntime

    graph = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[a, b] x, float[b, c] y) => (float[a, c] z) {z = MatMul(x, y)}'
    )
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    side = int((size / 4) ** 0.5)
    column = np.ones((side, 1), dtype=np.float32)
    session.run(None, {"x": column, "y": column.T})


def _openvino(size: int) -> None:
    import numpy as np
    import openvino
    from openvino import opset8

    left, right = opset8.parameter([-1, 1], np.float32), opset8.parameter([1, -1], np.float32)
    product = openvino.Model([opset8.matmul(left, right, False, False)], [left, right])
    compiled = openvino.Core().compile_model(product, "CPU")
    column = np.ones((int((size / 4) ** 0.5), 1), dtype=np.float32)
    compiled([column, column.T])


def _aborting(size: int) -> None:
    """What C++ does with a refusal that nobody catches."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def _forgetful(size: int) -> None:
    """Fail at something else, having taken the memory without harm."""
    _python(size)
    raise KeyError("a key")


_WAYS = {name.removeprefix("_"): way for name, way in list(globals().items()) if name.startswith("_") and callable(way)}
