"""What a training process takes of the machine, sampled from outside of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import fmean
from typing import Any

import psutil

from harness.errors import UnavailableError
from harness.speed.energy import PackageCounter
from harness.speed.gpu import Gpu
from harness.speed.memory import unique_memory

EVERY_SECONDS = 1.0


class Telemetry:
    """Cores and memory of a process with its children, energy of the machine, and the state of the first GPU.

    ``look`` is called once in ``EVERY_SECONDS``; what cannot be read here is left out of the summary.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._began, self._looks = pid, time.monotonic(), 0
        self._seconds, self._memory = 0.0, 0
        self._gpu, self._energy = _available(_first_gpu), _available(PackageCounter)
        self._states: list[dict[str, float]] = []

    def look(self) -> None:
        """Take a sample; nothing once the process is gone."""
        try:
            process = psutil.Process(self._pid)
            times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
        except psutil.Error:
            return
        self._looks += 1
        self._seconds = max(self._seconds, sum(each.user + each.system for each in times))
        self._memory = max(self._memory, unique_memory(self._pid))
        if self._gpu is not None:
            self._states.append({**self._gpu.state(), **self._gpu.use()})

    def summary(self) -> dict[str, Any]:
        """Plain values: ``cores`` used on average, ``memory_bytes`` at most, ``joules``, and the GPU's means."""
        seconds = time.monotonic() - self._began
        found: dict[str, Any] = {"samples": self._looks, "seconds": round(seconds, 1)}
        if self._looks:
            found |= {"cores": round(self._seconds / seconds, 2), "memory_bytes": self._memory}
        if self._energy is not None:
            found["joules"] = round(self._energy(), 1)
        names = sorted({name for state in self._states for name in state})
        if names:
            found["gpu"] = {name: round(fmean(s[name] for s in self._states if name in s), 1) for name in names}
        return found


def _first_gpu() -> Gpu:
    """The first GPU that CUDA may use here; torch, which would take memory of it, is not asked."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if not first.isdigit():
        raise UnavailableError(f"CUDA_VISIBLE_DEVICES names no GPU by its number: {first}")
    return Gpu(int(first))


def _available(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except UnavailableError:
        return None
