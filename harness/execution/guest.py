"""Running inside somebody else's process, a script or a notebook, and leaving it as it was found."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from types import ModuleType
from typing import Any

from harness.execution.program_end import scratch_kept


@contextmanager
def guest() -> Iterator[None]:
    """Inside the block tasks may be run. After it the environment variables are those of before, and the server that
    workers are forked from has ended: the next run may want other threads, and it holds some hundred MiB.

    multiprocessing has every worker import the caller's main module again. Workers need nothing of it, and a script
    without ``if __name__ == "__main__":`` would begin the run once more in each of them, so they are shown an empty
    one; loky has ``init_main_module=False`` for the same.
    """
    variables, main = dict(os.environ), sys.modules["__main__"]
    server: Any = forkserver._forkserver
    was_there = server._forkserver_pid is not None
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if not was_there:  # otherwise the caller's own processes may come from it
            with scratch_kept():
                server._stop()  # what its own tests stop it by; nothing public does
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)
