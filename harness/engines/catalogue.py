"""Which engines there are, what they need, and what they offer. Nothing here imports one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, UnavailableError, nearest
from harness.records.environment import installed_version

if TYPE_CHECKING:
    from harness.engines.base import Engine

ENTRY_POINTS = "harness.engines"


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
