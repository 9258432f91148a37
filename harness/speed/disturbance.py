"""What else the machine did while readings were taken: other processes, other machines on the host, a cgroup's quota.

None of it shows a neighbour on the other thread of a core or on the memory bus; only the control workload does.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

OTHERS_SHARE = 0.05
"""Other processes may use this share of the core-seconds of the readings."""
STEAL_SHARE = 0.02
"""The hypervisor may take this share of them."""
TICK_SECONDS = 0.01
"""CPU times are counted in steps of this (Linux: a tick of USER_HZ), so nothing shorter is a finding."""

_BUSY = ("user", "nice", "system", "irq", "softirq")
_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Usage:
    """Seconds counted up to a moment, or (as a difference of two moments) between them.

    ``seconds`` are those of a clock that never jumps; ``own`` CPU seconds of this process with all its children,
    ``busy`` those of the ``cores`` that it may use, whoever used them; ``steal`` what the hypervisor gave to other
    machines; ``throttled`` the time for which the cgroup's quota stopped this process.
    """

    cores: int
    seconds: float = 0.0
    own: float = 0.0
    busy: float = 0.0
    steal: float = 0.0
    throttled: float = 0.0

    @property
    def others(self) -> float:
        """CPU seconds that other processes used on the same cores."""
        return max(0.0, self.busy - self.own)

    def __add__(self, other: Usage) -> Usage:
        return self._with(other, 1)

    def __sub__(self, other: Usage) -> Usage:
        return self._with(other, -1)

    def _with(self, other: Usage, sign: int) -> Usage:
        names = ("seconds", "own", "busy", "steal", "throttled")
        return Usage(self.cores, **{name: getattr(self, name) + sign * getattr(other, name) for name in names})

    def as_dict(self) -> dict[str, float]:
        """What records keep of a difference."""
        return {
            "seconds": round(self.seconds, 3),
            "cores": self.cores,
            "others_seconds": round(self.others, 3),
            "steal_seconds": round(self.steal, 3),
            "throttled_seconds": round(self.throttled, 6),
        }


def usage() -> Usage:
    """What has been used up to now. Takes some milliseconds, so it stands before and after readings, not between."""
    everything = psutil.cpu_times(percpu=True)
    mine = [everything[cpu] for cpu in _usable_cpus() if cpu < len(everything)] or everything
    return Usage(
        cores=len(mine),
        seconds=time.monotonic(),
        own=_own_seconds(),
        busy=sum(getattr(cpu, kind, 0.0) for cpu in mine for kind in _BUSY),
        steal=sum(getattr(cpu, "steal", 0.0) for cpu in mine),
        throttled=throttled_seconds(),
    )


def disturbance(before: Usage, after: Usage) -> tuple[str, ...]:
    """By what the time between two moments was disturbed, in words; empty where it was not."""
    return reasons(after - before)


def reasons(spent: Usage) -> tuple[str, ...]:
    """The same of a difference, or of a sum of them."""
    core_seconds = spent.seconds * spent.cores
    found = []
    if spent.others > max(OTHERS_SHARE * core_seconds, 2 * TICK_SECONDS * spent.cores):
        found.append(f"other processes used {spent.others / core_seconds:.0%} of the cores".replace("%", " %"))
    if spent.steal > max(STEAL_SHARE * core_seconds, TICK_SECONDS):
        found.append(f"the hypervisor took {spent.steal / core_seconds:.0%}".replace("%", " %"))
    if spent.throttled > 0:
        found.append(f"throttled by the cgroup for {max(1, round(spent.throttled * 1000))} ms")
    return tuple(found)


def throttled_seconds(root: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> float:
    """For how long the quota of this process's cgroup has stopped it: ``throttled_usec`` (v2) or ``throttled_time``
    (v1) of ``cpu.stat``; 0 where there is no quota."""
    for folder in _cgroup_folders(root, membership):
        try:
            lines = (folder / "cpu.stat").read_text(encoding="ascii").splitlines()
            counts = {name: int(count) for name, count in (line.split() for line in lines)}
        except (OSError, ValueError):
            continue
        if "throttled_usec" in counts:
            return counts["throttled_usec"] / 1e6
        if "throttled_time" in counts:
            return counts["throttled_time"] / 1e9
    return 0.0


def _cgroup_folders(root: Path, membership: Path) -> list[Path]:
    """Where this process's CPU controller may lie: by its membership, then at the top, as containers see it."""
    try:
        lines = [line.split(":", 2) for line in membership.read_text(encoding="utf-8").splitlines()]
    except OSError:
        lines = []
    named = [
        folder / path.lstrip("/")
        for _, controllers, path in (line for line in lines if len(line) == 3)
        for folder in ([root] if not controllers else [root / controllers, root / "cpu"])
        if not controllers or "cpu" in controllers.split(",")
    ]
    return [*named, root, root / "cpu"]


def _usable_cpus() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _own_seconds() -> float:
    """CPU seconds of this process, of children that have ended, and of all that live below it."""
    ended = os.times()
    total = time.process_time() + ended.children_user + ended.children_system
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
    return total
