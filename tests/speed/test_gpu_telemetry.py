"""What is asked of NVML, on a stand-in for its module: the tests' machines have no GPU."""

from __future__ import annotations

import sys
import types

import pytest

from harness.errors import UnavailableError
from harness.speed.cuda_memory import cuda_memory_facts
from harness.speed.energy import open_meter
from harness.speed.gpu import Gpu, gpu_state


class NVMLError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch) -> types.ModuleType:
    """A GPU at 1,500 MHz, 70 W and 50 degrees, that has used 4.2 J and does not tell its memory clock."""

    def refuse(*_):
        raise NVMLError("Not Supported")

    module = types.ModuleType("pynvml")
    module.NVMLError = NVMLError
    module.NVML_CLOCK_SM, module.NVML_CLOCK_MEM, module.NVML_TEMPERATURE_GPU = 1, 2, 0
    module.nvmlInit = lambda: None
    module.nvmlDeviceGetHandleByUUID = lambda uuid: uuid
    module.nvmlDeviceGetClockInfo = lambda handle, clock: 1500 if clock == 1 else refuse()
    module.nvmlDeviceGetPowerUsage = lambda handle: 70_000
    module.nvmlDeviceGetTemperature = lambda handle, sensor: 50
    module.nvmlDeviceGetTotalEnergyConsumption = lambda handle: 4200
    module.nvmlDeviceGetHandleByIndex = lambda index: f"GPU-{index}"
    module.nvmlDeviceGetUtilizationRates = lambda handle: types.SimpleNamespace(gpu=97)
    module.nvmlDeviceGetMemoryInfo = lambda handle: types.SimpleNamespace(used=2**30)
    module.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, module.NVML_VOLATILE_ECC = 1, 0
    module.nvmlDeviceGetTotalEccErrors = refuse
    mine = types.SimpleNamespace(pid=7, usedGpuMemory=900)
    module.nvmlDeviceGetComputeRunningProcesses = lambda handle: [mine]
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr("harness.speed.gpu._current_uuid", lambda: "GPU-1")
    return module


def test_the_state_holds_what_the_gpu_tells(nvml):
    assert gpu_state("cuda") == {"sm_mhz": 1500, "watts": 70.0, "celsius": 50}


def test_the_use_of_a_gpu_that_this_process_does_not_use_holds_what_it_tells(nvml):
    assert Gpu(0).use() == {"utilisation_percent": 97, "memory_bytes": 2**30}


def test_a_cpu_has_no_state_of_a_gpu(nvml):
    assert gpu_state("cpu") == {}


def test_the_energy_of_a_gpu_is_its_own_counter(nvml):
    meter = open_meter("cuda")
    assert meter.joules() == pytest.approx(4.2)
    assert "NVML" in meter.name


def test_a_gpu_that_counts_no_energy_says_so(nvml):
    def refuse(handle):
        raise NVMLError("Not Supported")

    nvml.nvmlDeviceGetTotalEnergyConsumption = refuse
    with pytest.raises(UnavailableError, match="Not Supported"):
        open_meter("cuda")


def test_memory_of_an_engine_without_a_count_is_what_the_driver_says(nvml):
    (fact,) = cuda_memory_facts("onnxruntime", "cuda", 7)
    assert (fact.metric, fact.value) == ("peak_cuda_reserved_bytes", 900.0)


def test_memory_that_the_driver_does_not_know_is_no_fact(nvml):
    assert cuda_memory_facts("onnxruntime", "cuda", 8) == []
    assert cuda_memory_facts("torch", "cpu", 7) == []


def test_without_the_package_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(UnavailableError, match="extra 'gpu'"):
        Gpu()
    assert gpu_state("cuda") == {}
