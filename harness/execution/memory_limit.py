"""Memory budgets of tasks: a worker that takes more than it may finds that the system gives it no more.

The limit is Linux's RLIMIT_DATA, which counts what a process allocates for itself, and which the kernel keeps without
anybody looking on, so that readings are not disturbed. Measured against the memory that tasks of all kinds really came
to hold, it counted some 40 MiB more, mostly the stacks of threads; RLIMIT_AS counted hundreds, for libraries and
reserved addresses. Pages of files that are only mapped, shared memory and memory of GPUs are not counted.
"""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.records.record import Status
from harness.records.units import quantity

_REFUSED = re.compile(
    r"MemoryError|bad[_ ]alloc|can(?:no|')t allocate|(?:failed|unable) to (?:allocate|map)|AllocateRaw"
    r"|not enough memory|thread creation failed|can't start new thread|pthread_create",
    re.IGNORECASE,
)
"""What Python, numpy, torch, onnxruntime, OpenVINO, llama.cpp and OpenMP say when the system gives no memory."""


@dataclass(frozen=True)
class MemoryLimit:
    """Bytes that each process of a task may take over what its worker begins with, and the ``setting`` that says so."""

    bytes: int
    setting: str

    def explain(self, status: Status, reason: str, stderr_tail: str) -> tuple[Status, str]:
        """How a task ended and why, where it was this limit that ended it: then the reason says so first."""
        told = f"{reason}\n{stderr_tail}"
        if status not in ("failed", "crashed", "out-of-memory") or "CUDA" in reason or not _REFUSED.search(told):
            return status, reason
        limit = quantity(self.bytes, "bytes")
        return "out-of-memory", f"needs more memory than the {limit} of {self.setting}: {reason}"


@dataclass(frozen=True)
class Limited:
    """A task under a limit, as a worker performs it."""

    perform: Callable[[Any, Any], Any]
    limit: MemoryLimit

    def __call__(self, order: Any, channel: Any) -> Any:
        with _held_to(self.limit.bytes):
            return self.perform(order, channel)


@contextmanager
def _held_to(more_bytes: int) -> Iterator[None]:
    """Inside the block this process can allocate so many bytes more; after it there is memory again to tell of it."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    if (held := _data_bytes()) is None:
        yield
        return
    limit = held + more_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit if before[1] < 0 else min(limit, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _data_bytes() -> int | None:
    """What RLIMIT_DATA counts now; None where there is no Linux to tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("VmData:")), None)
    return int(found.split()[1]) * 1024 if found else None
