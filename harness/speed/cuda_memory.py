"""The highest memory that a variant took on the GPU, as the worker itself sees it."""

from __future__ import annotations

from harness.errors import UnavailableError
from harness.records.record import Fact
from harness.speed.gpu import Gpu

_TORCH_ENGINES = ("torch", "torch-compile")


def cuda_memory_facts(engine: str, device: str, pid: int) -> list[Fact]:
    """``peak_cuda_allocated_bytes`` (what tensors took) and ``peak_cuda_reserved_bytes`` (what the allocator held).

    torch counts both. Other engines keep what they reserved, so what the driver says the process holds after its work
    is their peak; where the driver does not tell, there is no fact.
    """
    if device != "cuda":
        return []
    if engine in _TORCH_ENGINES:
        import torch

        peaks = {
            "peak_cuda_allocated_bytes": torch.cuda.max_memory_allocated(),
            "peak_cuda_reserved_bytes": torch.cuda.max_memory_reserved(),
        }
        return [
            Fact(metric, float(value), protocol={"counted": "torch's allocator"}) for metric, value in peaks.items()
        ]
    try:
        held = Gpu().process_bytes(pid)
    except UnavailableError:
        held = None
    return [Fact("peak_cuda_reserved_bytes", float(held), protocol={"counted": "NVML, the process"})] if held else []
