"""What an engine refuses, why, and in which order the reasons are given."""

from __future__ import annotations

import dataclasses

import pytest

from harness.engines.catalogue import EngineKind, engine_kind, engine_kinds
from harness.errors import HarnessError, UnavailableError

KIND = EngineKind(
    name="sample",
    factory="json:JSONDecoder",
    precisions=("fp32", "int8"),
    devices=("cpu", "cuda"),
    packages=("no-such-package-a", "numpy", "no-such-package-b"),
    install="pip install sample",
    description="an engine for tests",
    lacks={"masked/*": "has no head that fills masks", "*/int8/cuda": "its integer products are for CPUs"},
)
CPU_ONLY = dataclasses.replace(KIND, devices=("cpu",))
INSTALLED = dataclasses.replace(KIND, packages=("numpy",))


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    """Says which GPUs this machine has; none until told."""

    def found(*names: str) -> None:
        monkeypatch.setattr("harness.engines.catalogue.gpu_names", lambda: names)

    found()
    return found


@pytest.mark.parametrize(
    ("kind", "variant", "reason"),
    [
        (CPU_ONLY, ("masked", "fp16", "cuda"), "engine 'sample' has fp32, int8, not fp16"),
        (CPU_ONLY, ("masked", "int8", "cuda"), "engine 'sample' runs on cpu, not on cuda"),
        (KIND, ("masked", "fp32", "cuda"), "engine 'sample': has no head that fills masks"),
        (KIND, ("causal", "int8", "cuda"), "engine 'sample': its integer products are for CPUs"),
        (KIND, ("causal", "fp32", "cuda"), "no NVIDIA GPU with a driver was found on this machine; leave out cuda, or "
                                           "run on one that has it"),
        (KIND, ("causal", "fp32", "cpu"), "engine 'sample' needs no-such-package-a, no-such-package-b; run: pip "
                                          "install sample"),
        (INSTALLED, ("causal", "fp32", "cpu"), None),
    ],
)  # fmt: skip
def test_reasons_come_as_precision_device_lacks_gpu_packages(gpus, kind: EngineKind, variant, reason: str | None):
    assert kind.refusal(*variant) == reason


def test_cuda_is_not_refused_where_there_is_a_gpu(gpus):
    gpus("NVIDIA H100, 570.1, 81559 MiB")
    assert INSTALLED.refusal("causal", "fp32", "cuda") is None


@pytest.mark.parametrize(
    ("engine", "variant", "refused"),
    [
        ("torch", ("causal", "int8", "cpu"), False),
        ("torch", ("causal", "int8", "cuda"), True),
        ("torch", ("causal", "fp16", "cpu"), True),
        ("torch", ("causal", "fp16", "cuda"), False),
        ("torch-compile", ("causal", "int8", "cpu"), True),
        ("onnxruntime", ("seq2seq", "int4", "cpu"), False),
        ("onnxruntime", ("causal", "int4", "cuda"), True),
        ("onnxruntime", ("causal", "fp16", "cpu"), True),
        ("llamacpp", ("masked", "fp32", "cpu"), True),
        ("openvino", ("masked", "int4", "cpu"), False),
        ("openvino", ("causal", "fp32", "cuda"), True),
    ],
)
def test_shipped_engines_refuse_what_they_lack(gpus, engine: str, variant, refused: bool):
    gpus("NVIDIA H100, 570.1, 81559 MiB")
    kind = dataclasses.replace(engine_kind(engine), packages=())
    assert (kind.refusal(*variant) is not None) == refused


def test_loading_imports_the_factory_and_calls_it(gpus):
    assert INSTALLED.load().decode("[1]") == [1]  # type: ignore[attr-defined]


def test_an_engine_whose_packages_are_missing_is_not_imported():
    with pytest.raises(UnavailableError, match="run: pip install sample"):
        dataclasses.replace(KIND, factory="no_such_module:Engine").load()


def test_an_unknown_engine_is_met_with_the_known_ones():
    assert set(engine_kinds()) >= {"torch", "torch-compile", "onnxruntime", "llamacpp", "openvino"}
    with pytest.raises(HarnessError, match=r"unknown engine 'xyz' \(known: .*onnxruntime"):
        engine_kind("xyz")
