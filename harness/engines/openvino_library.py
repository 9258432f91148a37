"""OpenVINO as this program uses it: imported without telemetry, its errors in one line."""

from __future__ import annotations

import sys
from functools import cache

# Importing openvino or nncf reports the import to Intel over the network and writes an identifier into the home folder.
# Both do without where this package cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402

__all__ = ["core", "has_bf16", "ov", "reason"]


@cache
def core() -> ov.Core:
    """The one that reads and compiles models in this process."""
    return ov.Core()


def has_bf16() -> bool:
    """Whether OpenVINO multiplies in bf16 on this CPU."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def reason(error: Exception) -> str:
    """What went wrong: OpenVINO's messages name its source files first and the reason last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
