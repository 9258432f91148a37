"""A running side: starts its process, sends commands, hears answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from types import TracebackType
from typing import Any

from harness.ab.checkouts import Checkout
from harness.errors import HarnessError


class Side:
    """A running side. A context manager: at its end the process and its workers are gone."""

    def __init__(self, name: str, checkout: Checkout) -> None:
        self.name, self.checkout = name, checkout
        self.variants: tuple[str, ...] = ()
        paths = [*checkout.import_path, *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            self._process = subprocess.Popen(
                [str(checkout.python), "-m", "harness.ab.server"],
                cwd=checkout.folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        except OSError as error:
            raise HarnessError(f"{self}: cannot start {checkout.python}: {error.strerror or error}") from error

    def __str__(self) -> str:
        return f"{self.name} ({self.checkout.revision})"

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream:
                    stream.close()
        with suppress(subprocess.TimeoutExpired):
            if kind is None:
                self._process.wait(timeout=10)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=10)

    def ask(self, do: str, **words: Any) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises HarnessError with the reason where the command failed or the side is gone.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **words}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise HarnessError(f"{self} ended; can its revision of harness be measured beside another one?")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise HarnessError(str(answer["error"]))
        return answer
