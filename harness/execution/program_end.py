"""What is done when the program ends, even by SIGKILL: nothing that it started lives on, no temporary file is left.

The process that workers are forked from outlives a killed program for a moment: it sees to this. It is told by two
variables, for it is started by multiprocessing, with no arguments of ours.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from multiprocessing import util
from pathlib import Path
from types import ModuleType

_FOLDER, _PROGRAM = "HARNESS_SCRATCH", "HARNESS_PROGRAM"
_KEPT = "kept"
_LONGEST_BYTES = 107 - len("/pymp-12345678/listener-12345678")


def scratch_folder() -> Path:
    """The folder for temporary files of this program, in which multiprocessing keeps its socket too.

    To be asked for before the process is started that workers are forked from, which will remove it.
    """
    with _short_temporary_folder():
        folder: str = util.get_temp_dir()
    os.environ |= {_FOLDER: folder, _PROGRAM: str(os.getpid())}
    return Path(folder)


@contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Have temporary folders made in ``/tmp`` where TMPDIR is too long for a socket in it (108 bytes, unix(7))."""
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST_BYTES:
        tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def scratch_kept() -> Iterator[None]:
    """Inside the block that process may be ended without the folder, which its program goes on with."""
    kept = scratch_folder() / _KEPT
    kept.touch()
    try:
        yield
    finally:
        kept.unlink()


def leave_nothing_at_exit() -> None:
    """Remove the program's temporary folder when this process ends, and end at once: to take apart the interpreter
    with all that was imported takes seconds on a busy machine, and is of no use. Its forks leave the folder alone."""
    folder, mine = os.environ.get(_FOLDER), os.getpid()

    def leave() -> None:
        if os.getpid() != mine:
            return
        if folder and not Path(folder, _KEPT).exists():
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)

    atexit.register(leave)


@contextmanager
def imports_while_program_lives() -> Iterator[None]:
    """Exit at the next import within the block if the program is gone: imports take seconds in which nothing else
    would notice. A thread would, but a process that is forked from must have none."""
    finder = _Watch(os.environ.get(_PROGRAM))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Watch(MetaPathFinder):
    """Finds nothing; looks whether the parent of this process is still the program."""

    def __init__(self, program: str | None) -> None:
        self._program = program

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if self._program and str(os.getppid()) != self._program:
            sys.exit()
