"""Joules per token, from the counters of the hardware, in a pass of its own after the timings.

CPUs count the energy of each package (RAPL, read through the kernel's powercap interface), NVIDIA GPUs that of the
board (NVML). Both count everything that runs there and what it takes to stand idle. Where no counter can be read there
is no number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.engines.base import Ids, Session
from harness.errors import UnavailableError
from harness.records.record import Fact
from harness.speed.gpu import Gpu
from harness.speed.workloads import Clock, encode_pass, generation_pass

POWERCAP = Path("/sys/class/powercap")
RAPL_SECONDS = 1.0
"""What a measurement takes at least; RAPL's counters move every millisecond."""
NVML_SECONDS = 3.0
"""The same on a GPU, whose counter moves every tenth of a second."""


@dataclass(frozen=True)
class Meter:
    """A counter of joules: its name, how to read it, and how long to measure."""

    name: str
    joules: Callable[[], float]
    seconds: float


class PackageCounter:
    """Joules of all CPU packages since it was made, by powercap's ``energy_uj``.

    The domains within a package (cores, uncore, memory) are part of it or beside it, and ``psys`` holds everything, so
    only packages count. A counter that ran over ``max_energy_range_uj`` starts at 0 again; it has to be read once
    before it does so twice. Raises UnavailableError where there is none or it may not be read.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self._domains = [
            folder
            for folder in sorted(root.glob("intel-rapl:*"))
            if folder.name.count(":") == 1 and _is_package(folder)
        ]
        if not self._domains:
            raise UnavailableError("this machine has no counter of energy (RAPL)")
        self._ranges = [_read(folder / "max_energy_range_uj") for folder in self._domains]
        self._last = self._counts()
        self._microjoules = 0

    def __call__(self) -> float:
        """Joules up to now."""
        counts = self._counts()
        for last, now, most in zip(self._last, counts, self._ranges, strict=True):
            self._microjoules += now - last if now >= last else now - last + most
        self._last = counts
        return self._microjoules / 1e6

    def _counts(self) -> list[int]:
        return [_read(folder / "energy_uj") for folder in self._domains]


def open_meter(device: str, root: Path = POWERCAP) -> Meter:
    """The counter of a device. Raises UnavailableError, with the reason, where there is none to read."""
    if device == "cuda":
        gpu = Gpu()
        gpu.joules()
        return Meter("NVML, the GPU", gpu.joules, NVML_SECONDS)
    return Meter("RAPL, all CPU packages", PackageCounter(root), RAPL_SECONDS)


def energy_facts(session: Session, prompt: Ids, new_tokens: int, meter: Meter, clock: Clock) -> list[Fact]:
    """Joules per token of a session's work on a prompt [length] at batch 1.

    Prefills are repeated alone. A decoded token's energy is that of whole generations less their prefills, over their
    steps: counters move too rarely to be read between the two. Raises UnavailableError where a counter stands still.
    """
    about = {"prompt_tokens": len(prompt), "batch_size": 1, "counter": meter.name}
    if session.facts.family == "masked":
        encode = _spend(lambda: encode_pass(session, prompt[np.newaxis], clock), meter, clock)
        return [_fact("encode", encode, encode.joules_a_pass / len(prompt), about)]
    prefill = _spend(lambda: session.prefill(prompt, new_tokens), meter, clock)
    whole = _spend(lambda: generation_pass(session, prompt, new_tokens, clock), meter, clock)
    facts = [_fact("prefill", prefill, prefill.joules_a_pass / len(prompt), about)]
    steps = (whole.joules_a_pass - prefill.joules_a_pass) / (new_tokens - 1)
    if steps > 0:
        facts.append(_fact("decode", whole, steps, {**about, "new_tokens": new_tokens}))
    return facts


@dataclass(frozen=True)
class _Spent:
    joules: float
    seconds: float
    passes: int

    @property
    def joules_a_pass(self) -> float:
        return self.joules / self.passes


def _spend(work: Callable[[], Any], meter: Meter, clock: Clock) -> _Spent:
    """Repeat a piece of work for as long as the meter needs."""
    before, began, passes = meter.joules(), clock(), 0
    while clock() - began < meter.seconds:
        work()
        passes += 1
    spent = _Spent(meter.joules() - before, clock() - began, passes)
    if spent.joules <= 0:
        raise UnavailableError(f"the counter of energy ({meter.name}) stands still")
    return spent


def _fact(part: str, spent: _Spent, joules: float, about: dict[str, Any]) -> Fact:
    samples = [{"joules": spent.joules, "seconds": spent.seconds, "passes": spent.passes}]
    return Fact(f"{part}_joules_per_token", joules, n=spent.passes, samples=samples, protocol=about)


def _is_package(folder: Path) -> bool:
    try:
        return (folder / "name").read_text(encoding="ascii").startswith("package")
    except (OSError, UnicodeDecodeError):
        return False


def _read(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii"))
    except PermissionError:
        raise UnavailableError("the counter of energy (RAPL) may be read by root only") from None
    except (OSError, ValueError) as error:
        raise UnavailableError(f"the counter of energy (RAPL) cannot be read: {error}") from None
