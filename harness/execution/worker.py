"""The worker process: does one task and reports over a pipe."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UnavailableError
from harness.execution.interrupts import held_back

_STARTS = 4
"""Attempts at starting a worker."""
_PAUSE_SECONDS = 0.25
"""Between the first two: a killed process that held much memory takes a moment to go, and seems alive until then."""


@dataclass(frozen=True)
class Channel:
    """How a task speaks to the parent: how far it is, and that its memory is to be looked at now, and watched from now
    on; the answer has come when ``watch_memory`` returns."""

    progress: Callable[[float, str], None]
    watch_memory: Callable[[], None]


def work(perform: Callable[[Any, Any], Any], order: Any, connection: Connection, stderr_file: Path) -> None:
    """Entry point of a worker: call ``perform(order, channel)`` and send its outcome.

    Sends ``progress`` and ``watch`` messages on the way and one ``end`` message.

    The worker leads a process group of its own, so that it can be killed with whatever it starts, and dies with the
    program that ordered it. What it prints goes to ``stderr_file``.
    """
    lead_own_group()
    with stderr_file.open("wb", buffering=0) as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    try:
        message: tuple[Any, ...]
        outcome = perform(order, Channel(_progress(connection), _watch(connection)))
        message = ("end", "ok", "", outcome)
    except UnavailableError as error:
        message = ("end", "skipped", one_line(error), None)
    except HarnessError as error:
        message = ("end", "failed", one_line(error), None)
    except MemoryError as error:
        message = ("end", "out-of-memory", one_line(error) or "MemoryError", None)
    except Exception as error:  # noqa: BLE001 - the boundary of a task: whatever it raised becomes its record
        traceback.print_exc()
        status = "out-of-memory" if type(error).__name__ == "OutOfMemoryError" else "failed"
        message = ("end", status, f"{type(error).__name__}: {one_line(error)}", None)
    sys.stderr.flush()
    connection.send(message)
    connection.close()


def lead_own_group() -> None:
    """Become a group of one's own, and end it, oneself included, when the parent is gone.

    The system's parent-death signal would not do: the process that forked this one lives as long as its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def start_worker(process: BaseProcess) -> None:
    """Start a worker, from a new process to fork from where that was killed; Ctrl-C is heard when it has started.

    Raises HarnessError where those were killed one after the other.
    """
    for attempt in range(_STARTS):
        try:
            with held_back():
                process.start()
            return
        except (EOFError, ConnectionError) as error:
            if attempt == _STARTS - 1:
                raise HarnessError("the process that workers are forked from was killed as it started") from error
            time.sleep(_PAUSE_SECONDS * 2**attempt)


def kill_group(process: BaseProcess) -> None:
    """Kill the worker and everything that it started; a worker that ended by itself leaves its group empty."""
    process.join(timeout=0.2 if process.exitcode is None else 0)
    if process.pid is not None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
    process.join(timeout=10)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)


def _progress(connection: Connection) -> Any:
    def progress(share: float, word: str) -> None:
        connection.send(("progress", share, word))

    return progress


def _watch(connection: Connection) -> Any:
    def watch_memory() -> None:
        connection.send(("watch",))
        with contextlib.suppress(EOFError):
            connection.recv()

    return watch_memory


def one_line(error: BaseException) -> str:
    """The first line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""
