"""The machine and the software that numbers were measured on.

``Environment`` decides comparability and is stored once per run; ``conditions`` are what may change from one
reading to the next. Neither holds a token, user name, host name or environment variable.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from harness.records.hashing import digest, short

_PACKAGES = (
    "harness",
    "torch",
    "transformers",
    "tokenizers",
    "optimum",
    "optimum-onnx",
    "onnx",
    "onnx-ir",
    "onnxruntime",
    "openvino",
    "nncf",
    "llama-cpp-python",
    "datasets",
    "numpy",
)
_ISA = ("avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx_vnni_int8", "avx512_bf16",
        "avx512_fp16", "amx_tile", "amx_bf16", "amx_fp16", "amx_int8")  # fmt: skip
_ISA_ARM = ("asimd", "asimddp", "i8mm", "bf16", "sve")


@dataclass(frozen=True)
class Environment:
    """What two timings must share to be compared: hardware, versions and threads."""

    cpu: str
    isa: tuple[str, ...]
    cores: int
    memory_bytes: int
    system: str
    python: str
    versions: dict[str, str]
    threads: int
    gpus: tuple[str, ...] = ()
    governor: str = "unknown"
    commit: str = "unknown"
    dirty: bool | None = None

    @property
    def hash(self) -> str:
        """Names the environment in records; commit and governor are told, but do not make it another machine."""
        facts = asdict(self)
        for told in ("commit", "dirty", "governor"):
            facts.pop(told)
        return short(digest(facts))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the hash included."""
        return {"hash": self.hash, **asdict(self)}


def installed_version(package: str) -> str | None:
    """The installed version of a distribution, without importing it."""
    try:
        return _version(package)
    except PackageNotFoundError:
        return None


_version = cache(version)
"""Read once for a package that is there; one that is not may be installed while a notebook goes on."""


def snapshot(threads: int) -> Environment:
    """Describe this machine, without importing any engine."""
    commit, dirty = _git_state()
    return Environment(
        cpu=_cpu()[0],
        isa=isa_flags(),
        cores=available_cores(),
        memory_bytes=memory_limit(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        versions={package: found for package in _PACKAGES if (found := installed_version(package))},
        threads=threads,
        gpus=gpu_names(),
        governor=_first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")) or "not readable",
        commit=commit,
        dirty=dirty,
    )


def available_cores() -> int:
    """Cores that this process may use: its affinity, bounded by a cgroup's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = (_first_line(Path("/sys/fs/cgroup/cpu.max")) or "").split()
    if len(quota) == 2 and quota[0] != "max":
        cores = min(cores, max(1, int(quota[0]) // int(quota[1])))
    return cores


def memory_limit() -> int:
    """Bytes of memory that this process may use: the machine's, bounded by a cgroup."""
    total = psutil.virtual_memory().total
    limit = _first_line(Path("/sys/fs/cgroup/memory.max"))
    return min(total, int(limit)) if limit and limit.isdigit() else total


def conditions() -> dict[str, Any]:
    """What the machine is doing now: load, CPU frequency, free memory, and time stolen by other machines."""
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    return {
        "unix_time": round(time.time(), 3),
        "load_1m": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "cpu_mhz": round(frequency.current) if frequency else None,
        "available_memory_bytes": psutil.virtual_memory().available,
        "steal_seconds": round(getattr(psutil.cpu_times(), "steal", 0.0), 2),
    }


def isa_flags() -> tuple[str, ...]:
    """The vector and matrix instructions of this CPU that matter to language models, by Linux's names for them."""
    return known_instructions(_cpu()[1])


def known_instructions(flags: set[str]) -> tuple[str, ...]:
    """Of a CPU's flags those that matter, in a fixed order; some systems write ``avx512vnni`` for ``avx512_vnni``."""
    return tuple(flag for flag in (*_ISA, *_ISA_ARM) if flag in flags or flag.replace("avx512_", "avx512") in flags)


@cache
def _cpu() -> tuple[str, set[str]]:
    import cpuinfo

    info = cpuinfo.get_cpu_info()
    return info.get("brand_raw") or platform.processor() or platform.machine(), set(info.get("flags", ()))


@cache
def gpu_names() -> tuple[str, ...]:
    """The NVIDIA GPUs that the driver lists, with its version and their memory."""
    listing = _run("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
    return tuple(line.strip() for line in listing.splitlines()) if listing else ()


def without_home(text: str) -> str:
    """Text in which the user's home folder, which names the user, is written ``~``."""
    try:
        home = Path.home()
    except RuntimeError:
        return text
    for folder in {str(home), str(home.resolve())} - {"/"}:
        text = re.sub(re.escape(folder) + r"(?![\w.-])", "~", text)
    return text


def _git_state() -> tuple[str, bool | None]:
    here = str(Path(__file__).resolve().parent)
    if _run("git", "-C", here, "ls-files", "--error-unmatch", __file__) is None:
        return "unknown", None
    commit = _run("git", "-C", here, "rev-parse", "--short=12", "HEAD")
    changes = _run("git", "-C", here, "status", "--porcelain")
    return (commit or "unknown").strip(), None if changes is None else bool(changes.strip())


def _run(*command: str) -> str | None:
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, IndexError):
        return None
