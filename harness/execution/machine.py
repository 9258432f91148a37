"""What a machine is: its processor, the cores that this process may use, its clocks and sensors.

Read from Linux's files alone, so that a folder can stand in for a machine; elsewhere most of it is not readable.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping

from harness.execution.findings import Finding, Status, SystemFiles, cpu_list, whole_number
from harness.records.environment import known_instructions
from harness.records.units import quantity, significant

_CPU = "sys/devices/system/cpu"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")
_RAPL = ("intel-rapl:0", "intel-rapl/intel-rapl:0", "amd_energy")
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies")
_COARSE_SECONDS = 1e-6


def machine_findings(
    files: SystemFiles, environ: Mapping[str, str], gpus: tuple[str, ...], clock_resolution: float
) -> list[Finding]:
    """All that does not change from one minute to the next. ``clock_resolution`` in seconds."""
    found = [("processor", *line) for line in (*_processor(files), *_speed_steps(files), _virtual(files))]
    found += [("threads", *line) for line in _thread_settings(environ, usable_cores(files))]
    found += [("measuring", *line) for line in (_clock(files, clock_resolution), _page_cache(files), _energy(files))]
    found.append(("measuring", "GPU", "ok" if gpus else "missing", "; ".join(gpus) or "none with an NVIDIA driver", ""))
    return [Finding(*line) for line in found]


_Line = tuple[str, Status, str, str]
"""A finding without its part: name, status, what was found, advice."""


def allowed_cpus(files: SystemFiles) -> set[int]:
    """The CPUs that this process may run on."""
    return cpu_list(files.fields("proc/self/status", ":").get("Cpus_allowed_list")) & machine_cpus(files)


def machine_cpus(files: SystemFiles) -> set[int]:
    """The CPUs of the machine that are switched on."""
    return cpu_list(files.text(f"{_CPU}/online"))


def cpu_quota(files: SystemFiles) -> float | None:
    """How many CPUs' worth of time the control group allows; None where it sets no limit."""
    quota, _, period = (files.cgroup("cpu", "cpu.max") or "").partition(" ")
    if not period:
        quota, period = (files.cgroup("cpu", f"cpu.cfs_{each}_us") or "" for each in ("quota", "period"))
    allowed, every = whole_number(quota), whole_number(period)
    return allowed / every if allowed and every and allowed > 0 else None


def usable_cores(files: SystemFiles) -> int:
    """Cores that this process may use: its affinity, bounded by a quota of CPU time; at least one."""
    quota, allowed = cpu_quota(files), len(allowed_cpus(files))
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def is_virtual(files: SystemFiles) -> bool:
    """Whether the processor says that it runs under a hypervisor."""
    return "hypervisor" in _flags(files)


def _flags(files: SystemFiles) -> set[str]:
    about = files.fields("proc/cpuinfo", ":")
    return set((about.get("flags") or about.get("Features") or "").split())


def _processor(files: SystemFiles) -> Iterator[_Line]:
    model = files.fields("proc/cpuinfo", ":").get("model name")
    yield "model", "ok" if model else "missing", model or f"not readable ({platform.machine()})", ""
    flags = known_instructions(_flags(files))
    yield "instructions", "ok" if flags else "missing", ", ".join(flags) or "not readable", ""
    allowed, online, quota = allowed_cpus(files), machine_cpus(files), cpu_quota(files)
    words = f"{len(allowed)} of {len(online)}" if online else "not readable"
    if quota is not None and quota < len(allowed):
        words += f", {significant(quota)} cores' worth of time by a quota"
        advice = (
            "The control group stops this process when it has used its quota of CPU time, in the middle of a reading. "
            "Give it whole cores instead (docker --cpuset-cpus, a pod whose CPU request equals its limit)."
        )
        yield "usable cores", "warning", words, advice
    else:
        yield "usable cores", "ok" if online else "missing", words, ""
    yield _siblings(files, allowed)


def _siblings(files: SystemFiles, allowed: set[int]) -> _Line:
    groups = {
        frozenset(cpu_list(siblings))
        for cpu in allowed
        if (siblings := files.text(f"{_CPU}/cpu{cpu}/topology/thread_siblings_list"))
    }
    if not groups:
        return "hyper-threads", "missing", "not readable", ""
    width = max(map(len, groups))
    if width == 1:
        hidden = " (what the host does is not to be seen from a virtual machine)" if is_virtual(files) else ""
        return "hyper-threads", "ok", f"one thread a core{hidden}", ""
    words = f"{width} threads a core: {len(allowed)} CPUs are {len(groups)} cores"
    advice = f"Two threads of one core slow each other down. Take one thread a core: --threads {len(groups)}."
    return "hyper-threads", "warning", words, advice


def _speed_steps(files: SystemFiles) -> Iterator[_Line]:
    governor = files.text(f"{_CPU}/cpu0/cpufreq/scaling_governor")
    hidden = "not readable; the host decides" if is_virtual(files) else "not readable"
    if governor is None:
        yield "frequency governor", "missing", hidden, ""
    elif governor == "performance":
        yield "frequency governor", "ok", governor, ""
    else:
        command = "sudo cpupower frequency-set --governor performance"
        advice = f"The governor '{governor}' changes the clock rate while readings are taken. Run: {command}"
        yield "frequency governor", "warning", governor, advice
    boost, no_turbo = files.number(f"{_CPU}/cpufreq/boost"), files.number(f"{_CPU}/intel_pstate/no_turbo")
    if boost is None and no_turbo is None:
        yield "turbo", "missing", hidden, ""
    elif boost == 0 or no_turbo == 1:
        yield "turbo", "ok", "off", ""
    else:
        switch = f"echo 0 | sudo tee /{_CPU}/cpufreq/boost"
        if boost is None:
            switch = f"echo 1 | sudo tee /{_CPU}/intel_pstate/no_turbo"
        advice = f"Turbo makes speed depend on temperature. To compare small changes, switch it off: {switch}"
        yield "turbo", "warning", "on", advice


def _virtual(files: SystemFiles) -> _Line:
    if not _flags(files):
        return "virtual machine", "missing", "not readable", ""
    if not is_virtual(files):
        return "virtual machine", "ok", "no", ""
    advice = (
        "This is a virtual machine: others may share its cores and caches. Compare only what was measured beside each "
        "other in one session, never absolute speeds of different days."
    )
    return "virtual machine", "warning", "yes", advice


def _thread_settings(environ: Mapping[str, str], cores: int) -> Iterator[_Line]:
    given = {name: environ[name] for name in _THREADS if name in environ}
    if not given:
        yield "thread variables", "ok", "none set", ""
    for name, value in given.items():
        fits = value == str(cores) or (name == "OPENBLAS_NUM_THREADS" and value == "1")
        advice = f"{name} is {value}, but {cores} cores can be used. Unset it: workers are given their threads anyway, "
        advice += "but what runs in your own shell beside them is not comparable."
        yield name, "ok" if fits else "warning", value, "" if fits else advice


def _clock(files: SystemFiles, resolution: float) -> _Line:
    source = files.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
    shown = f"{resolution * 1e9:.0f} ns" if resolution < _COARSE_SECONDS else quantity(resolution, "s")
    words = f"resolution {shown}" + (f", source {source}" if source else "")
    if source in _SLOW_CLOCKS or resolution > _COARSE_SECONDS:
        return "clock", "warning", words, "The clock is slow or coarse: do not trust single steps below 1 ms."
    return "clock", "ok", words, ""


def _page_cache(files: SystemFiles) -> _Line:
    file = files.root / "proc/sys/vm/drop_caches"
    if file.exists() and os.access(file, os.W_OK):
        return "page cache", "ok", "can be dropped", ""
    return "page cache", "missing", "cannot be dropped (needs root): files are always read from memory", ""


def _energy(files: SystemFiles) -> _Line:
    for name in _RAPL:
        folder = files.root / "sys/class/powercap" / name
        meter = folder / "energy_uj"
        if not meter.exists():
            continue
        if os.access(meter, os.R_OK):
            return "energy (RAPL)", "ok", "readable", ""
        advice = f"To measure joules, let the energy counter be read: sudo chmod a+r /{meter.relative_to(files.root)}"
        return "energy (RAPL)", "missing", "there, but only root may read it", advice
    why = "hypervisors hide it" if is_virtual(files) else "this processor or kernel has none"
    return "energy (RAPL)", "missing", f"not there: {why}", ""
