"""Memory of a worker, watched from outside."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Memory:
    """Bytes that a process and its children hold: ``unique`` counts pages that no other process maps, ``proportional``
    also the share of those that several do (None where the system does not tell)."""

    unique: int = 0
    proportional: int | None = None


def memory_of(pid: int) -> Memory:
    """Memory of a process with its children; nothing once it is gone.

    Pages shared with the process that it was forked from do not count as unique, so libraries that every worker has
    imported are nobody's. Reading it takes the system milliseconds, more the more memory is mapped.
    """
    try:
        process = psutil.Process(pid)
        found = [_memory(each) for each in (process, *process.children(recursive=True))]
    except psutil.Error:
        return Memory()
    proportional = [each.proportional for each in found if each.proportional is not None]
    return Memory(sum(each.unique for each in found), sum(proportional) if proportional else None)


def unique_memory(pid: int) -> int:
    """Bytes that a process and its children hold alone (unique set size); 0 once it is gone."""
    return memory_of(pid).unique


def _memory(process: psutil.Process) -> Memory:
    try:
        info = process.memory_full_info()
    except psutil.Error:
        return Memory()
    return Memory(int(info.uss), getattr(info, "pss", None))
