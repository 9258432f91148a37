"""What an NVIDIA GPU says of itself through NVML: clocks, power, temperature, energy, and memory of a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.errors import UnavailableError


class Gpu:
    """The GPU that ``cuda`` stands for. Raises UnavailableError, with the reason, where NVML cannot be asked."""

    def __init__(self, index: int | None = None) -> None:
        """With an index: that GPU of the driver's, for a process that does not use it itself."""
        try:
            import pynvml
        except ImportError:
            raise UnavailableError("nvidia-ml-py is not installed (extra 'gpu')") from None
        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
            self._handle = (
                pynvml.nvmlDeviceGetHandleByUUID(_current_uuid())
                if index is None
                else pynvml.nvmlDeviceGetHandleByIndex(index)
            )
        except pynvml.NVMLError as error:
            raise UnavailableError(f"NVML: {error}") from None

    def state(self) -> dict[str, float]:
        """Clocks in MHz, power in watts and temperature in degrees Celsius, as far as the GPU tells them."""
        nvml, handle = self._nvml, self._handle
        return self._told(
            {
                "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
                "memory_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
                "watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
                "celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            }
        )

    def use(self) -> dict[str, float]:
        """Utilisation in per cent, memory in bytes, and memory errors that were not corrected since the driver was
        loaded, as far as the GPU tells them."""
        nvml, handle = self._nvml, self._handle
        return self._told(
            {
                "utilisation_percent": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
                "memory_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
                "uncorrected_errors": lambda: nvml.nvmlDeviceGetTotalEccErrors(
                    handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
                ),
            }
        )

    def _told(self, asked: dict[str, Callable[[], float]]) -> dict[str, float]:
        """Answers to what the GPU can be asked."""
        found = {}
        for name, ask in asked.items():
            try:
                found[name] = ask()
            except self._nvml.NVMLError:
                continue
        return found

    def joules(self) -> float:
        """Energy since the driver was loaded. Raises UnavailableError where the GPU does not count it."""
        try:
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
        except self._nvml.NVMLError as error:
            raise UnavailableError(f"NVML: {error}") from None

    def process_bytes(self, pid: int) -> int | None:
        """Memory that a process holds on the GPU; None where the driver does not know it, as in a container."""
        try:
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except self._nvml.NVMLError:
            return None
        return next((each.usedGpuMemory for each in processes if each.pid == pid), None)


def gpu_state(device: str) -> dict[str, float]:
    """The state of the GPU where the device is one and NVML answers; empty otherwise."""
    if device != "cuda":
        return {}
    try:
        return Gpu().state()
    except UnavailableError:
        return {}


def _current_uuid() -> str:
    import torch

    return f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
