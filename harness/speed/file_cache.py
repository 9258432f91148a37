"""The system's cache of files: filled before a warm load, emptied before a cold one."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

from harness.errors import UnavailableError

RESIDENT_SHARE = 0.01
"""What may stay in the cache of files that were dropped."""
_CHUNK = 1 << 22


def files_of(folder: Path) -> list[Path]:
    """All files that a variant's folder holds, links followed."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def warm(files: list[Path]) -> None:
    """Read files once, so that the cache holds them."""
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while stream.read(_CHUNK):
                pass


def drop(files: list[Path]) -> None:
    """Make the cache forget files, by ``posix_fadvise`` with ``POSIX_FADV_DONTNEED``, and look whether it did.

    Raises UnavailableError where it did not: the system has no such call, the files lie in memory (tmpfs), or another
    process has them mapped. What lies beneath, such as the cache of a virtual machine's host, is not touched.
    """
    if not hasattr(os, "posix_fadvise"):
        raise UnavailableError("this system cannot drop files from its cache")
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise UnavailableError(f"{file.name} cannot be dropped from the file cache: {error.strerror}") from None
        finally:
            os.close(descriptor)
    if (left := resident_share(files)) > RESIDENT_SHARE:
        raise UnavailableError(f"{left:.0%} of the files stayed in the file cache".replace("%", " %"))


def resident_share(files: list[Path]) -> float:
    """The share of the files' pages that the cache holds, by ``mincore``. Raises UnavailableError where it cannot be
    asked."""
    held = pages = 0
    for file in files:
        if size := file.stat().st_size:
            vector = _resident(file, size)
            held, pages = held + sum(byte & 1 for byte in vector), pages + len(vector)
    return held / pages if pages else 0.0


def _resident(file: Path, size: int) -> bytes:
    """A byte for each page of a file; its lowest bit says whether the page is in memory."""
    mincore = getattr(ctypes.CDLL(None, use_errno=True), "mincore", None)
    if mincore is None:
        raise UnavailableError("this system does not say what its file cache holds")
    vector = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
        start = ctypes.c_char.from_buffer(mapped)
        code = mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), vector)
        del start
    if code:
        raise UnavailableError(f"mincore: {os.strerror(ctypes.get_errno())}")
    return bytes(vector)
