"""What this machine can measure, and how far its numbers can be trusted."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.engines.catalogue import engine_kinds
from harness.execution.findings import Finding, SystemFiles
from harness.execution.machine import is_virtual, machine_findings
from harness.execution.machine_state import state_findings
from harness.records.environment import gpu_names, installed_version, without_home
from harness.records.units import quantity

if TYPE_CHECKING:
    from harness.execution.noise import Noise

_OF_AN_EXTRA = re.compile(r"""(?P<package>[\w.-]+).*;.*extra == ["'](?P<extra>[\w.-]+)["']""")
_LITTLE_DISK = 5 * 2**30
"""Bytes below which exports of a few candidates may not fit."""


@dataclass(frozen=True)
class Diagnosis:
    """All findings, and the measurement of the noise floor where there was one."""

    findings: tuple[Finding, ...]
    noise: Noise | None = None

    @property
    def advice(self) -> list[str]:
        """What there is to do, the most telling first: what was measured and what the machine does now come first."""
        parts = ("noise", "state", "threads", "processor")
        ranked = sorted(self.findings, key=lambda each: parts.index(each.part) if each.part in parts else len(parts))
        return list(dict.fromkeys(each.advice for each in ranked if each.advice))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "findings": [asdict(each) for each in self.findings],
            "noise": self.noise.as_dict() if self.noise else None,
            "advice": self.advice,
        }


def diagnose(
    cache_dir: Path,
    runs_dir: Path,
    network: bool = False,
    noise_seconds: float | None = None,
    files: SystemFiles | None = None,
    environ: Mapping[str, str] | None = None,
) -> Diagnosis:
    """Look at the machine, ask the hub where ``network``, and measure the noise floor for ``noise_seconds`` if given.

    ``files`` and ``environ`` are those of this machine and process unless given. Raises HarnessError where a worker
    that measures dies.
    """
    files = files or SystemFiles()
    resolution = time.get_clock_info("perf_counter").resolution
    findings = machine_findings(files, os.environ if environ is None else environ, gpu_names(), resolution)
    now = state_findings(files)
    findings += now
    findings += [*engine_findings(), *extra_findings()]
    findings += [storage_finding("cache folder", cache_dir), storage_finding("runs folder", runs_dir)]
    findings.append(hub_finding(network))
    noise = None
    if noise_seconds is not None:
        from harness.execution.noise import measure_noise, noise_findings

        noise = measure_noise(noise_seconds)
        busy = any(each.name == "load" and each.status == "warning" for each in now)
        findings += noise_findings(noise, is_virtual(files), busy)
    return Diagnosis(tuple(findings), noise)


def engine_findings() -> Iterator[Finding]:
    """Engines that are ready, and what the others need."""
    for kind in engine_kinds().values():
        reason = kind.missing()
        if reason is None:
            versions = ", ".join(f"{package} {version}" for package, version in kind.versions().items())
            yield Finding("engines", kind.name, "ok", versions)
        else:
            need, _, command = reason.partition("; run: ")
            yield Finding("engines", kind.name, "missing", need, f"To use the engine {kind.name}, run: {command}")


def extra_findings() -> Iterator[Finding]:
    """The optional extras of this package, and what they need; they are for its own development, so without advice."""
    needs: dict[str, list[str]] = {}
    try:
        declared = requires("harness") or []
    except PackageNotFoundError:
        return
    engines = {kind.name for kind in engine_kinds().values()}
    for requirement in declared:  # such as: pytest>=8; extra == "bench"
        found = _OF_AN_EXTRA.match(requirement)
        if found and found["extra"] not in engines:
            needs.setdefault(found["extra"], []).append(found["package"])
    for extra, packages in sorted(needs.items()):
        absent = [package for package in packages if installed_version(package) is None]
        shown = f"needs {', '.join(absent)}; pip install 'harness[{extra}]'" if absent else "installed"
        yield Finding("engines", f"extra {extra}", "missing" if absent else "ok", shown)


def storage_finding(name: str, folder: Path) -> Finding:
    """Whether there is space, and whether a folder, or the nearest above it that exists, can be written."""
    there = folder.expanduser().absolute()
    while not there.exists():
        there = there.parent
    shown = without_home(str(folder))
    if not there.is_dir() or not os.access(there, os.W_OK):
        option = f"--{name.split()[0]}-dir"
        return Finding("storage", name, "warning", f"{shown} cannot be written", f"Take another {name}: {option}")
    free = shutil.disk_usage(there).free
    found = f"{quantity(free, 'bytes')} free in {shown}"
    if free >= _LITTLE_DISK:
        return Finding("storage", name, "ok", found)
    advice = f"There are only {quantity(free, 'bytes')} free for the {name}: checkpoints and exports may not fit."
    return Finding("storage", name, "warning", found, advice)


def hub_finding(network: bool) -> Finding:
    """Whether the Hugging Face hub answers; it is asked only where the network may be used."""
    if not network:
        return Finding("storage", "hub", "ok", "not asked (--network asks)")
    from harness.candidates.hub import answers

    if answers():
        return Finding("storage", "hub", "ok", "answers")
    advice = "The hub cannot be reached: published candidates need a cache that holds them, or --local NAME=FOLDER."
    return Finding("storage", "hub", "missing", "does not answer", advice)
