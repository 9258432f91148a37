"""Which engines there are, what they need, and what they offer. Nothing here imports one."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, UnavailableError, nearest
from harness.records.environment import gpu_names, installed_version

if TYPE_CHECKING:
    from harness.engines.base import Engine

ENTRY_POINTS = "harness.engines"
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class EngineKind:
    """An engine that can be named in a suite. ``factory`` is ``module:attribute``, imported when it is opened."""

    name: str
    factory: str
    precisions: tuple[str, ...]
    devices: tuple[str, ...]
    packages: tuple[str, ...]
    install: str
    description: str
    lacks: Mapping[str, str] = field(default_factory=dict)
    """What it cannot run: shell patterns of ``family/precision/device``, each with the reason."""

    def refusal(self, family: str, precision: str, device: str) -> str | None:
        """Why the engine cannot run such a variant here, with the remedy where there is one; None where it can."""
        if precision not in self.precisions:
            return f"engine '{self.name}' has {', '.join(self.precisions)}, not {precision}"
        if device not in self.devices:
            return f"engine '{self.name}' runs on {', '.join(self.devices)}, not on {device}"
        for pattern, reason in self.lacks.items():
            if fnmatch.fnmatchcase(f"{family}/{precision}/{device}", pattern):
                return f"engine '{self.name}': {reason}"
        if device == "cuda" and not gpu_names():
            return "no NVIDIA GPU with a driver was found on this machine; leave out cuda, or run on one that has it"
        return self.missing()

    def missing(self) -> str | None:
        """Why the engine cannot be used here, with the command that installs it; None where it can."""
        absent = [package for package in self.packages if installed_version(package) is None]
        return f"engine '{self.name}' needs {', '.join(absent)}; run: {self.install}" if absent else None

    def versions(self) -> dict[str, str | None]:
        """Installed versions of the packages that it stands on."""
        return {package: installed_version(package) for package in self.packages}

    def load(self) -> Engine:
        """Import the engine. Raises UnavailableError where a package is missing."""
        if reason := self.missing():
            raise UnavailableError(reason)
        module, _, attribute = self.factory.partition(":")
        engine: Any = getattr(import_module(module), attribute)()
        return engine  # type: ignore[no-any-return]


_SHIPPED = [
    EngineKind(
        name="torch",
        factory="harness.engines.torch_engine:TorchEngine",
        precisions=("fp32", "bf16"),
        devices=("cpu",),
        packages=("torch", "transformers"),
        install="pip install torch transformers",
        description="PyTorch in eager mode, through transformers",
    ),
    EngineKind(
        name="onnxruntime",
        factory="harness.engines.onnxruntime_engine:OnnxRuntimeEngine",
        precisions=("fp32", "int8"),
        devices=("cpu",),
        packages=("onnxruntime", "optimum-onnx", "onnx"),
        install="pip install onnxruntime optimum-onnx onnx",
        description="ONNX exported by optimum, dynamic int8 by onnxruntime's quantiser",
    ),
]


def engine_kinds() -> dict[str, EngineKind]:
    """The shipped engines and those that installed packages register under ``harness.engines``."""
    kinds = {kind.name: kind for kind in _SHIPPED}
    for entry in entry_points(group=ENTRY_POINTS):
        kind = entry.load()
        kinds[kind.name] = kind
    return kinds


def engine_kind(name: str) -> EngineKind:
    """The engine of that name. Raises HarnessError for an unknown one."""
    kinds = engine_kinds()
    if name not in kinds:
        raise HarnessError(f"unknown engine '{name}'{nearest(name, kinds)}")
    return kinds[name]
