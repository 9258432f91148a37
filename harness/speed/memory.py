"""Memory of a worker, watched from outside."""

from __future__ import annotations

import psutil


def unique_memory(pid: int) -> int:
    """Bytes that a process and its children hold alone (unique set size); 0 once it is gone.

    Pages shared with the process that it was forked from do not count, so libraries that every worker has imported
    are nobody's.
    """
    try:
        process = psutil.Process(pid)
        return sum(_unique(each) for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0


def _unique(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0
