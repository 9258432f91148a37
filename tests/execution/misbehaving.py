"""Tasks that do what tasks should not, run in real worker processes by the executor's tests."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import Any

from harness.errors import HarnessError, UnavailableError
from harness.execution.orders import Outcome
from harness.execution.worker import Channel
from harness.records.record import Fact


def perform(order: str, channel: Channel) -> Outcome:
    """Do the named thing."""
    return globals()[f"_{order.partition(' ')[0]}"](order, channel)


def _good(order: str, channel: Channel) -> Outcome:
    channel.progress(0.5, "half way")
    return Outcome([Fact(metric="load_seconds", value=1.0)])


def _hang(order: str, channel: Channel) -> Outcome:
    time.sleep(600)
    return Outcome([])


def _segfault(order: str, channel: Channel) -> Outcome:
    ctypes.string_at(0)
    return Outcome([])


def _killed(order: str, channel: Channel) -> Outcome:
    os.kill(os.getpid(), signal.SIGKILL)
    return Outcome([])


def _silent(order: str, channel: Channel) -> Outcome:
    os._exit(0)


def _raise(order: str, channel: Channel) -> Outcome:
    raise KeyError("a key")


def _refuse(order: str, channel: Channel) -> Outcome:
    raise HarnessError("this cannot work")


def _unavailable(order: str, channel: Channel) -> Outcome:
    raise UnavailableError("not to be had here")


def _greedy(order: str, channel: Channel) -> Outcome:
    raise MemoryError


def _chatter(order: str, channel: Channel) -> Outcome:
    for _ in range(4000):
        sys.stderr.write("x" * 1000 + "\n")
    raise ValueError("after four megabytes")


def _orphan(order: str, channel: Channel) -> Outcome:
    """Start a grandchild that would outlive this worker, tell its pid, and hang."""
    grandchild: Any = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    channel.progress(0.0, str(grandchild.pid))
    time.sleep(600)
    return Outcome([])


def _allocate(order: str, channel: Channel) -> Outcome:
    """Hold some megabytes for a moment while the parent watches."""
    channel.watch_memory()
    block = b"1" * (int(order.split()[1]) * 1_000_000)
    time.sleep(0.3)
    assert block
    return Outcome([])


def _flash(order: str, channel: Channel) -> Outcome:
    """Hold some megabytes for so short a time that the parent must be asked to look."""
    channel.watch_memory()
    block = b"1" * (int(order.split()[1]) * 1_000_000)
    channel.watch_memory()
    assert block
    return Outcome([])
