"""What must hold of any input: it is read, or refused in one line; soon, and without writing where nobody asked to."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from harness.errors import HarnessError

SECONDS = 10.0
"""Of processor time an input may take."""
GIVEN, TAKEN = "given", "taken"
"""The folder of an input, and the only one that what reads it may write to."""


@dataclass(frozen=True)
class Kind:
    """A kind of input. ``write`` puts one into a folder, drawn at random; ``read`` does with it what the program does,
    and gets the folder of the input and one that may be written to. Where ``in_worker``, a run reads it in a worker
    process, whose death it survives."""

    name: str
    write: Callable[[Random, Path], None]
    read: Callable[[Path, Path], object]
    in_worker: bool = False


@dataclass(frozen=True)
class Outcome:
    """``refused`` or ``read``, else in ``broken`` what went wrong."""

    refused: bool = False
    broken: str = ""
    seconds: float = 0.0
    error: BaseException | None = None


def tried(kind: Kind, seed: int, scratch: Path) -> Outcome:
    """Write the input of a seed below an empty folder, read it, and say what came of it."""
    given, taken = scratch / GIVEN, scratch / TAKEN
    for folder in (given, taken):
        folder.mkdir(parents=True)
    kind.write(Random(f"{kind.name} {seed}"), given)
    before = _contents(scratch, taken)
    start = time.process_time()
    refused, error = False, None
    with _watched(taken) as written:
        try:
            kind.read(given, taken)
        except HarnessError as expected:
            refused, error = True, expected
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as unexpected:  # noqa: BLE001 - a panic of a Rust library is no Exception
            error = unexpected
    seconds = time.process_time() - start
    broken = ""
    if error is not None and not refused:
        broken = f"{type(error).__name__}: {str(error)[:200]}"
    elif error is not None and (len(str(error).splitlines()) != 1 or not str(error).isprintable()):
        broken = f"not one line: {str(error)[:200]!r}"
    elif error is not None and len(str(error)) > 2000:
        broken = f"a line of {len(str(error))} characters: {str(error)[:100]}"
    elif seconds > SECONDS:
        broken = f"took {seconds:.1f} s"
    elif written:
        broken = f"wrote to {written[0]}"
    elif (after := _contents(scratch, taken)) != before:
        broken = f"changed {sorted(str(path) for path in set(before.items()) ^ set(after.items()))[0]}"
    return Outcome(refused, broken, seconds, error)


def _contents(scratch: Path, taken: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below a folder but those that may be written, with its kind, its size and when it was changed."""
    found = {}
    for folder, folders, files in os.walk(scratch):
        if Path(folder) == scratch and taken.name in folders:
            folders.remove(taken.name)
        for name in (*files, *folders):
            about = os.lstat(os.path.join(folder, name))
            changed = 0 if name in folders else about.st_mtime_ns
            found[os.path.join(folder, name)] = (about.st_mode, about.st_size * (name in files), changed)
    return found


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1, "os.remove": 0, "os.rmdir": 0}
"""Events of the interpreter with the place of the path that changes; see its table of audit events."""
_watching: list[tuple[str, list[str]]] = []
_OWN = ("/dev/", "/proc/self/", os.path.expanduser("~/.config/matplotlib"), os.path.expanduser("~/.cache/"))
"""Devices, and the settings and caches that libraries make where they are first used."""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what is opened for writing, made, renamed or removed outside of the folder that may be written to."""
    if not _watching:
        return
    path: Any = None
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
        path = arguments[0]
    elif event in _CHANGING:
        path = arguments[_CHANGING[event]]
        if event in ("os.remove", "os.rmdir") and arguments[1] != -1:
            return  # a name in a folder that is open: how whole folders are removed
        if event == "os.mkdir" and os.path.isdir(path):
            return  # it is there already
    if isinstance(path, bytes | str | os.PathLike):
        allowed, written = _watching[-1]
        found = os.path.abspath(os.fsdecode(path))
        if not found.startswith((allowed, *_OWN)) and "__pycache__" not in found:
            written.append(f"{found} ({event})")


@contextmanager
def _watched(taken: Path) -> Iterator[list[str]]:
    """The paths outside of ``taken`` that Python code writes to inside the block."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True
    written: list[str] = []
    _watching.append((str(taken.absolute()), written))
    try:
        yield written
    finally:
        _watching.pop()


_hooked = False
