"""How far a process's resident memory grew, told by the process itself: what a worker that is not alone can tell.

Unique memory would depend on which other workers map the same files. Resident memory does not: pages that are shared
count in full, before and after.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Make the peak start anew from what is resident now, where the system can (Linux)."""
    with suppress(OSError):
        _CLEAR.write_text("5", encoding="ascii")


def resident_bytes() -> int | None:
    """Bytes that are resident now; None where the system does not tell."""
    return _status("VmRSS")


def peak_resident_bytes() -> int | None:
    """The most bytes that were resident since the peak was forgotten; None where the system does not tell."""
    return _status("VmHWM")


def _status(key: str) -> int | None:
    try:
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None
