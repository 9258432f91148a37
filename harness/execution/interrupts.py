"""Ctrl-C that is not lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Remembers SIGINT and SIGTERM while it is entered, beside raising KeyboardInterrupt for them as usual.

    A KeyboardInterrupt that is raised while Python finalises an object is printed and dropped; :meth:`check` raises it
    again. Outside of the main thread, which alone gets signals, it does nothing.
    """

    def __init__(self) -> None:
        self._seen = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt where one was asked for and got lost."""
        if self._seen:
            raise KeyboardInterrupt

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._seen = True
        raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """Hear SIGINT and SIGTERM only at the end of the block: one while a worker is started would leave a worker that
    nobody knows of. The process that workers come from never hears SIGINT, which a terminal sends to it too: it is
    started with the signal blocked, which it inherits. To block it here alone would not do, for other threads of the
    program would get it, so both are noted wherever they arrive.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, frame: heard.append(number))
    try:
        resource_tracker.ensure_running()  # it would unblock the signal
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard and callable(handler := before[signal.Signals(heard[0])]):
        handler(heard[0], None)
