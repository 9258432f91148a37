"""A worker that stays: it loads a variant, then does passes whenever it is its turn, and sleeps in between."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from harness.candidates.checkpoint import tokenizer_of
from harness.engines.base import Engine, Session
from harness.engines.catalogue import engine_kind
from harness.errors import HarnessError
from harness.execution.orders import WorkOrder
from harness.execution.program_end import scratch_folder
from harness.execution.work import prepared_of, real_tokens
from harness.execution.worker import kill_group, lead_own_group, one_line, start_worker
from harness.records.privacy import without_private
from harness.speed.extra_work import SlowedSession
from harness.speed.resident import forget_peak, peak_resident_bytes, resident_bytes
from harness.speed.turns import Parts, one_pass

_LOADS = 8
_LOADING_SECONDS = 0.5


@dataclass(frozen=True)
class Opened:
    """What loading a variant took: the fastest of some times to open it, the seconds of a warm pass, and by how many
    bytes the resident memory grew at most until it had done its first pass, None where the system does not tell."""

    load_seconds: float
    pass_seconds: float
    peak_resident_bytes: float | None


def stand_by(order: WorkOrder, slower: float | None, connection: Connection, stderr_file: Path) -> None:
    """Entry point of the worker: load, say so, then answer commands until it is told to close.

    ``("turn", n)`` is answered with the parts of ``n`` passes, ``("close",)`` with a farewell.
    Whatever goes wrong is answered with ``("failed", reason)``, and the worker ends.
    """
    lead_own_group()
    with stderr_file.open("wb", buffering=0) as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    try:
        _serve(order, slower, connection)
    except Exception as error:  # noqa: BLE001 - the boundary of a worker: whatever it raised is its answer
        kind = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
        with suppress(OSError):
            connection.send(("failed", without_private(kind + one_line(error))))


def _serve(order: WorkOrder, slower: float | None, connection: Connection) -> None:
    import torch

    torch.set_num_threads(order.setup.threads)
    clock = time.perf_counter
    prompt, batch = real_tokens(tokenizer_of(prepared_of(order).checkpoint), order)
    engine = engine_kind(order.engine).load()
    forget_peak()
    before_bytes = resident_bytes()
    session, load_seconds = _load(engine, order)
    if slower is not None:
        session = SlowedSession(session, slower, clock)

    def do_pass() -> Parts:
        return one_pass(session, prompt, batch, order.timing, clock)

    began, warm = clock(), [_seconds(do_pass())]
    peak_bytes = peak_resident_bytes()
    peak = None if before_bytes is None or peak_bytes is None else float(max(peak_bytes - before_bytes, 0))
    while clock() - began < order.timing.warmup_seconds or len(warm) < 2:
        warm.append(_seconds(do_pass()))
    connection.send(("ready", Opened(load_seconds, warm[-1], peak)))
    while (command := connection.recv())[0] == "turn":
        connection.send(("turn", [do_pass() for _ in range(command[1])]))
    connection.send(("closed",))


def _load(engine: Engine, order: WorkOrder) -> tuple[Session, float]:
    """A session, and the fastest of the times that opening it took: up to eight, as many as half a second holds."""
    folder, times = prepared_of(order).folder, []
    while True:
        began = time.perf_counter()
        session = engine.open(folder, order.candidate.family, order.setup)
        times.append(time.perf_counter() - began)
        if len(times) == _LOADS or sum(times) > _LOADING_SECONDS:
            return session, min(times)
        session.close()
        del session


def _seconds(parts: Parts) -> float:
    return sum(sum(seconds) for seconds in parts.values())


class Standby:
    """The parent's end of a worker that stays. Every answer must come within ``deadline_seconds``.

    Raises HarnessError with the worker's reason when it failed, died or hung; the worker is gone then.
    """

    def __init__(self, context: Any, order: WorkOrder, slower: float | None, deadline_seconds: float) -> None:
        self._deadline = deadline_seconds
        self._scratch = tempfile.TemporaryDirectory(dir=scratch_folder())
        self._connection, theirs = context.Pipe()
        arguments = (order, slower, theirs, Path(self._scratch.name) / "stderr")
        self._process: BaseProcess = context.Process(target=stand_by, args=arguments, daemon=False)
        start_worker(self._process)
        theirs.close()

    def open(self) -> Opened:
        """Wait until it has loaded and is warm."""
        opened: Opened = self._answer()[1]
        return opened

    def turn(self, passes: int) -> list[Parts]:
        """Let it do some passes."""
        parts: list[Parts] = self._answer("turn", passes)[1]
        return parts

    def close(self) -> None:
        """End it."""
        self._answer("close")
        self.kill()

    def kill(self) -> None:
        """End it and everything that it started, whatever it is doing."""
        kill_group(self._process)
        self._connection.close()
        self._scratch.cleanup()

    def _answer(self, *command: Any) -> Any:
        try:
            if command:
                self._connection.send(command)
            if not self._connection.poll(self._deadline):
                raise HarnessError(f"killed after {self._deadline:g} s")
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(timeout=1)
            answer = ("failed", f"died (exit code {self._process.exitcode})")
        except HarnessError:
            self.kill()
            raise
        if answer[0] == "failed":
            self.kill()
            raise HarnessError(answer[1])
        return answer
