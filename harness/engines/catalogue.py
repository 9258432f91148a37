"""Which engines there are, what they need, and what they offer. Nothing here imports one."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
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

    def unsupported(self, family: str, precision: str, device: str) -> str | None:
        """Why the engine cannot run such a variant on any machine; None where it can."""
        if precision not in self.precisions:
            return f"engine '{self.name}' has {', '.join(self.precisions)}, not {precision}"
        if device not in self.devices:
            return f"engine '{self.name}' runs on {', '.join(self.devices)}, not on {device}"
        for pattern, reason in self.lacks.items():
            if fnmatch.fnmatchcase(f"{family}/{precision}/{device}", pattern):
                return f"engine '{self.name}': {reason}"
        return None

    def refusal(self, family: str, precision: str, device: str) -> str | None:
        """Why the engine cannot run such a variant here, with the remedy where there is one; None where it can."""
        if reason := self.unsupported(family, precision, device):
            return reason
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
        precisions=("fp32", "bf16", "fp16", "int8"),
        devices=("cpu", "cuda"),
        packages=("torch", "transformers"),
        install="pip install torch transformers",
        description="PyTorch in eager mode, through transformers",
        lacks={
            "*/fp16/cpu": "fp16 is for cuda; CPUs have bf16 or int8",
            "*/int8/cuda": "torch's int8 products are for CPUs",
        },
    ),
    EngineKind(
        name="torch-compile",
        factory="harness.engines.torch_compiled:TorchCompileEngine",
        precisions=("fp32", "bf16", "fp16"),
        devices=("cpu", "cuda"),
        packages=("torch", "transformers"),
        install="pip install torch transformers",
        description="PyTorch compiled by torch.compile, with a KV cache of fixed size",
        lacks={"*/fp16/cpu": "fp16 is for cuda; CPUs have bf16"},
    ),
    EngineKind(
        name="onnxruntime",
        factory="harness.engines.onnxruntime_engine:OnnxRuntimeEngine",
        precisions=("fp32", "fp16", "int8", "int4"),
        devices=("cpu", "cuda"),
        packages=("onnxruntime", "optimum-onnx", "onnx", "onnx-ir"),
        install="pip install onnxruntime optimum-onnx onnx onnx-ir",
        description="ONNX exported by optimum, attention fused, dynamic int8 and 4-bit weights",
        lacks={
            "*/fp16/cpu": "its CPU operators have no fp16",
            "*/int[84]/cuda": "its integer operators are for CPUs",
        },
    ),
    EngineKind(
        name="llamacpp",
        factory="harness.engines.llamacpp_engine:LlamaCppEngine",
        precisions=("fp32", "fp16", "int8", "int4", "gguf"),
        devices=("cpu",),
        packages=("llama-cpp-python", "gguf"),
        install="pip install llama-cpp-python gguf",
        description="llama.cpp: GGUF as published, or GPT-2 written to GGUF (F32, F16, Q8_0, Q4_0 by its quantiser)",
        lacks={
            "masked/*": "its graphs of BERT end at embeddings, without the head that fills masks",
            "seq2seq/*": "only GPT-2 shapes are written to GGUF, and published GGUF files are run as causal models",
        },
    ),
    EngineKind(
        name="openvino",
        factory="harness.engines.openvino_engine:OpenVinoEngine",
        precisions=("fp32", "bf16", "int8", "int4"),
        devices=("cpu",),
        packages=("openvino", "nncf", "optimum-onnx", "onnx"),
        install="pip install openvino nncf optimum-onnx onnx",
        description="OpenVINO on the exported ONNX with a stateful KV cache, int8 and int4 weights by nncf",
    ),
]


def engine_kinds() -> dict[str, EngineKind]:
    """The shipped engines and those that installed packages register under ``harness.engines``."""
    return {kind.name: kind for kind in (*_SHIPPED, *_registered())}


@cache
def _registered() -> tuple[EngineKind, ...]:
    """Read once: it looks through all packages that are installed, and a plan asks for every variant."""
    return tuple(entry.load() for entry in entry_points(group=ENTRY_POINTS))


def engine_kind(name: str) -> EngineKind:
    """The engine of that name. Raises HarnessError for an unknown one."""
    kinds = engine_kinds()
    if name not in kinds:
        raise HarnessError(f"unknown engine '{name}'{nearest(name, kinds)}")
    return kinds[name]
