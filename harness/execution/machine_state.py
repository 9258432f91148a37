"""What a machine is doing at the moment that disturbs timings: load, steal, memory, throttling."""

from __future__ import annotations

from collections.abc import Iterator

from harness.execution.findings import Finding, Status, SystemFiles, whole_number
from harness.execution.machine import usable_cores
from harness.records.units import quantity

_BUSY = 0.1
"""Load over cores from which something else is running."""
_STEAL = 0.01
_LITTLE_MEMORY = 2 * 2**30
_UNLIMITED = 2**60
"""What version 1 of control groups writes for no limit is a little below 2^63."""

_Line = tuple[str, Status, str, str]


def state_findings(files: SystemFiles) -> list[Finding]:
    """All that may be different in a minute."""
    lines = (_load(files), _steal(files), *_memory(files), _huge_pages(files), _throttling(files))
    return [Finding("state", *line) for line in lines]


def _load(files: SystemFiles) -> _Line:
    words = (files.text("proc/loadavg") or "").split()
    if not words:
        return "load", "missing", "not readable", ""
    load, cores = float(words[0]), usable_cores(files)
    shown = f"{load:.2f} on {cores} cores, mean of the last minute"
    if load <= _BUSY * cores:
        return "load", "ok", shown, ""
    advice = (
        f"Something else is running: a load of {load:.2f} is {load / cores:.0%} of the cores. Stop it, or wait "
        "a minute if it has just ended (top shows what it is)."
    )
    return "load", "warning", shown, advice


def _steal(files: SystemFiles) -> _Line:
    jiffies = [whole_number(word) or 0 for word in files.fields("proc/stat").get("cpu", "").split()]
    if len(jiffies) < 8:
        return "steal", "missing", "not readable", ""
    busy = sum(jiffies[:3]) + sum(jiffies[5:8])  # user, nice, system; irq, softirq, steal
    share = jiffies[7] / max(busy, 1)
    shown = f"{share:.1%} of busy time since the machine started"
    if share <= _STEAL:
        return "steal", "ok", shown, ""
    advice = f"Other virtual machines took {share:.1%} of the time that this one wanted to run. Take a dedicated one."
    return "steal", "warning", shown, advice


def _memory(files: SystemFiles) -> Iterator[_Line]:
    about = {key: (whole_number(value) or 0) * 1024 for key, value in files.fields("proc/meminfo", ":").items()}
    if "MemTotal" not in about:
        yield "memory", "missing", "not readable", ""
        return
    total, free = about["MemTotal"], about.get("MemAvailable", about.get("MemFree", 0))
    limit = _memory_number(files, "memory.max", "memory.limit_in_bytes")
    used = _memory_number(files, "memory.current", "memory.usage_in_bytes")
    shown = f"{quantity(free, 'bytes')} free of {quantity(total, 'bytes')}"
    if limit is not None and limit < min(total, _UNLIMITED):
        free = min(free, max(0, limit - (used or 0)))
        shown = f"{quantity(free, 'bytes')} free of {quantity(limit, 'bytes')} that the control group allows"
    little = free < _LITTLE_MEMORY
    advice = "There is little free memory: large candidates will be killed, and files are read from disk again."
    yield "memory", "warning" if little else "ok", shown, advice if little else ""
    swapped = about.get("SwapTotal", 0) - about.get("SwapFree", 0)
    if swapped:
        advice = "Memory has been swapped out; what is touched again is slow. Free memory, then: sudo swapoff -a"
        yield "swap", "warning", f"{quantity(swapped, 'bytes')} in use", advice
    else:
        yield "swap", "ok", "not in use" if about.get("SwapTotal") else "none", ""


def _memory_number(files: SystemFiles, name: str, name_1: str) -> int | None:
    """A number of the memory controller in either version; no limit (``max``) is None."""
    return whole_number(files.cgroup("memory", name) or files.cgroup("memory", name_1))


def _huge_pages(files: SystemFiles) -> _Line:
    text = files.text("sys/kernel/mm/transparent_hugepage/enabled") or ""
    chosen = text.partition("[")[2].partition("]")[0]
    return "transparent huge pages", "ok" if chosen else "missing", chosen or "not readable", ""


def _throttling(files: SystemFiles) -> _Line:
    text = files.cgroup("cpu", "cpu.stat")
    counts = dict(line.split()[:2] for line in (text or "").splitlines() if len(line.split()) >= 2)
    if "nr_throttled" not in counts:
        return "throttling", "ok" if text else "missing", "no quota" if text else "not readable", ""
    times = whole_number(counts["nr_throttled"]) or 0
    if not times:
        return "throttling", "ok", "never", ""
    advice = f"The control group has stopped its processes {times:,} times for using up their quota of CPU time."
    return "throttling", "warning", f"{times:,} times", advice
