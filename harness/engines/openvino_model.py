"""Exported ONNX -> OpenVINO's own format with a stateful cache and, where asked for, smaller weights."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines import export
from harness.engines.base import STORED_BITS, Weights
from harness.engines.onnx_weights import write_weights
from harness.engines.openvino_library import core, ov, reason
from harness.engines.openvino_state import fuse_attention, keep_cache
from harness.errors import HarnessError
from harness.records.environment import installed_version
from harness.records.hashing import code_digest

GROUP_SIZE = 32
"""Weights of one row that share a scale and a zero point in int4."""
_STATEFUL = ("model.onnx", "decoder_with_past_model.onnx")
_STORED = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4"}
_UNPACKING = ("Convert", "Subtract", "Multiply", "Reshape", "Transpose")
"""Operators between stored weights and what multiplies by them."""


def converted(checkpoint: Checkpoint, precision: str, store: ArtefactStore) -> Path:
    """The checkpoint's graphs in OpenVINO's format, their weights stored in ``precision``.

    int8 and int4 come from nncf without data, asymmetric: int8 a row, int4 in groups of GROUP_SIZE. In int4 the
    embeddings, the head and the last product stay int8, as do products whose rows no group of at least 16 divides.
    """
    source = export.exported(checkpoint, store)

    def convert(folder: Path) -> None:
        names = export.FILES[checkpoint.family]
        for name in names:
            try:
                _convert(source.path / name, folder, checkpoint.family, precision)
            except RuntimeError as error:
                raise HarnessError(f"OpenVINO cannot convert {checkpoint.path.name}: {reason(error)}") from error
        files = [folder / ir(name) for name in names]
        write_weights(folder, count_weights(files, files[-1:]))
        shutil.copyfile(source.path / "config.json", folder / "config.json")

    made_from = {
        "exported": source.hash,
        "code": code_digest("engines/openvino_model.py", "engines/openvino_state.py"),
        "versions": {name: installed_version(name) for name in ("openvino", "nncf")},
    }
    return store.get(f"openvino-{precision}", checkpoint.path.name, made_from, convert).path


def ir(name: str) -> str:
    """The file that an exported graph is converted to; its weights lie beside it."""
    return str(Path(name).with_suffix(".xml"))


def _convert(graph: Path, folder: Path, family: str, precision: str) -> None:
    model = core().read_model(graph)
    if family != "masked" and graph.name in _STATEFUL:
        fuse_attention(model)
        keep_cache(model)
    if precision in ("int8", "int4"):
        model = _compressed(model, precision)
    elif precision == "bf16":
        _store_bf16(model)
    ov.save_model(model, folder / ir(graph.name), compress_to_fp16=False)


def _compressed(model: Any, precision: str) -> Any:
    import nncf

    nncf.set_log_level(logging.ERROR)
    options: dict[str, Any] = {"mode": nncf.CompressWeightsMode.INT8_ASYM}
    if precision == "int4":
        options = {
            "mode": nncf.CompressWeightsMode.INT4_ASYM,
            "group_size": GROUP_SIZE,
            "ratio": 1.0,
            "backup_mode": nncf.BackupMode.INT8_ASYM,
            "advanced_parameters": nncf.AdvancedCompressionParameters(
                group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST, min_adjusted_group_size=16
            ),
        }
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        return nncf.compress_weights(model, **options)


def _store_bf16(model: Any) -> None:
    """Store every tensor of weights in bf16; OpenVINO multiplies in the type that a session asks for."""
    from openvino import opset13 as ops

    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant" and _kind(node) == "fp32" and _elements(node) > 1:
            stored = ops.convert(ops.constant(node.get_data(), dtype=ov.Type.bf16), "f32")
            node.output(0).replace(stored.output(0))


def count_weights(files: Sequence[Path], step: Sequence[Path]) -> Weights:
    """Count the weights of the graphs in ``files``; ``step`` are those of them that run for one decode step.

    Scales and zero points are no weights of the model, but a step reads them.
    """
    elements: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    step_bytes = 0
    for file in files:
        nodes = core().read_model(file).get_ordered_ops()
        scales: set[str] = set()
        for node in nodes:
            for operand in node.input_values() if node.get_type_name() in ("MatMul", "Gather") else ():
                stored = _stored(operand)
                if not stored or _elements(stored[0]) == 1:
                    continue
                scales |= {each.get_name() for each in stored[1:]}
                if node.get_type_name() == "MatMul":
                    operators["MatMul"] += 1
                    step_bytes += sum(map(_bytes, stored)) if file in step else 0
        for node in nodes:
            if node.get_type_name() == "Constant" and _kind(node) and node.get_name() not in scales:
                elements[_kind(node)] += _elements(node)
    size = sum(path.stat().st_size for file in files for path in (file, file.with_suffix(".bin")))
    return Weights(size, dict(elements), dict(operators), step_bytes)


def _stored(operand: Any) -> list[Any]:
    """The constants that an operand is unpacked from, its weights first; none where it is no weight."""
    node = operand.get_node()
    if node.get_type_name() == "Constant":
        return [node]
    if node.get_type_name() not in _UNPACKING:
        return []
    parts = [_stored(each) for each in node.input_values()]
    return [each for part in parts for each in part if _kind(each)] if all(parts) else []


def _kind(constant: Any) -> str:
    """The type of weights that a constant is stored in; empty for shapes, indices and conditions."""
    return _STORED.get(constant.get_element_type().get_type_name(), "")


def _elements(constant: Any) -> int:
    return math.prod(constant.get_output_shape(0))


def _bytes(constant: Any) -> int:
    return (_elements(constant) * STORED_BITS[_kind(constant)] + 7) // 8
