"""Objects in a place that several machines share: a local or shared folder, or an object store, by fsspec.

No object is ever half there, whoever else writes it and whenever the writer is killed.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from harness.errors import HarnessError
from harness.records.privacy import without_private

ABANDONED_DAYS = 30
"""After which what an interrupted program kept or left is removed: it may never be asked for again."""
_WHOLE_UPLOADS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"}
"""Protocols whose ``put_file`` and ``pipe_file`` make an object that is there when its upload is complete, and not
before."""
_PART = ".part"
_PROBE = b"harness can write here\n"
_IDENTITY = "place"
"""The object that tells one place from another."""


class UnusableError(HarnessError):
    """The place cannot be reached, or refuses."""


class Objects:
    """A place for objects, which are named by paths in it. Whatever its protocol's package raises is an
    :class:`UnusableError` of one line."""

    def __init__(self, location: str, files: Any, root: str) -> None:
        """``files`` is fsspec's file system, ``root`` the path of the location in it; see :meth:`at`."""
        from fsspec.implementations.local import LocalFileSystem

        self.location = location
        self._files, self._root = files, root.rstrip("/")
        self._is_local = isinstance(files, LocalFileSystem)
        protocols = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
        self._uploads_whole = not _WHOLE_UPLOADS.isdisjoint(protocols)
        self._cleared: set[str] = set()

    @property
    def is_shared_by_threads(self) -> bool:
        """Whether several threads may use it at the same time; protocols that are not known here may have one
        connection for all."""
        return self._is_local or self._uploads_whole

    @classmethod
    def at(cls, location: str) -> Objects:
        """The place at a folder's path or at an address of fsspec, such as ``s3://bucket/prefix``.

        Raises HarnessError where the address has no known protocol, or the package of its protocol is missing.
        """
        from fsspec.core import url_to_fs

        if not location.strip():
            raise _unusable(location, ValueError("no folder and no address is given"))
        try:
            return cls(location, *url_to_fs(location))
        except Exception as error:  # those of any protocol's package
            raise _unusable(location, error) from error

    def check(self) -> None:
        """Write, read back and remove a small object. Raises HarnessError with the reason where that is impossible."""
        name = f"probe-{uuid.uuid4().hex}"
        self.write(_PROBE, name)
        found = self.read(name)
        self.remove(name)
        if found != _PROBE:
            raise _unusable(self.location, ValueError("what was written is not what is read back"))

    def identity(self) -> str:
        """What the place was named when it was first used: machines that read the same here share one place."""
        if self.read(_IDENTITY) is None:
            self.write(uuid.uuid4().hex.encode("ascii"), _IDENTITY)
        return (self.read(_IDENTITY) or b"").decode("ascii", "replace")

    def size(self, name: str) -> int | None:
        """Bytes of an object; None where it is absent."""
        with self._as_unusable():
            self._files.invalidate_cache()  # of listings: other machines write there too
            try:
                return int(self._files.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        """What is right below a folder, sorted, without what is still being written; an absent folder has nothing."""
        with self._as_unusable():
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
        names = (path.rstrip("/").rpartition("/")[2] for path in found)
        return sorted(name for name in names if not name.startswith("."))

    def read(self, name: str) -> bytes | None:
        """An object's content; None where it is absent."""
        with self._as_unusable():
            try:
                return bytes(self._files.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def get(self, name: str, target: Path) -> bool:
        """Download an object; whether it was there. Raises OSError where this machine's disk refuses."""
        with self._as_unusable(ours=(errno.ENOSPC, errno.EDQUOT, errno.EROFS)):
            try:
                self._files.get_file(self._path(name), str(target))
            except FileNotFoundError:
                return False
        return True

    def write(self, content: bytes, name: str) -> None:
        """Write an object; see :meth:`put`."""
        self._write_whole(name, lambda: io.BytesIO(content), lambda path: self._files.pipe_file(path, content))

    def put(self, source: Path, name: str) -> None:
        """Write a file's content as an object, whole or not at all.

        In folders it is written aside and renamed. Uploads to object stores appear when they are complete. Elsewhere it
        is uploaded aside and moved: as whole as the protocol's moving is.
        """
        self._write_whole(name, lambda: source.open("rb"), lambda path: self._files.put_file(str(source), path))

    def _write_whole(self, name: str, opened: Callable[[], BinaryIO], upload: Callable[[str], None]) -> None:
        target = self._path(name)
        folder = target.rpartition("/")[0]
        with self._as_unusable():
            if self._is_local:
                self._clear(folder)
                _copy_whole(opened, Path(target))
            elif self._uploads_whole:
                upload(target)
            else:
                aside = f"{folder}/.{uuid.uuid4().hex}{_PART}"
                self._files.makedirs(folder, exist_ok=True)
                try:
                    upload(aside)
                    self._files.mv(aside, target)
                except BaseException:
                    with suppress(Exception):
                        self._files.rm_file(aside)
                    raise

    def remove(self, name: str) -> None:
        """Remove an object that is there."""
        with self._as_unusable():
            self._files.rm_file(self._path(name))

    def _clear(self, folder: str) -> None:
        """Remove what kills left in a local folder, once."""
        if folder in self._cleared:
            return
        self._cleared.add(folder)
        for left in Path(folder).glob(f".*{_PART}"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED_DAYS * 86_400:
                    left.unlink()

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _as_unusable(self, ours: tuple[int, ...] = ()) -> Iterator[None]:
        """Whatever is raised is told in one line; but the errors ``ours`` are of this machine's disk."""
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError) and error.errno in ours:
                raise
            raise _unusable(self.location, error) from error


def _unusable(location: str, error: Exception) -> UnusableError:
    return UnusableError(f"cannot use the storage {without_private(location)}: {without_private(_reason(error))}")


def _reason(error: Exception) -> str:
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return "a file is where a folder should be"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ImportError) and error.args == (None,):  # fsspec knows no package to name
        return str(error.__cause__)
    return str(error) or type(error).__name__


def _copy_whole(opened: Callable[[], BinaryIO], target: Path) -> None:
    """Copy what is opened into a folder that others see: it is there whole, on the disk, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{uuid.uuid4().hex}{_PART}")
    try:
        with opened() as content, aside.open("xb") as copy:  # with the rights that others expect, unlike mkstemp
            shutil.copyfileobj(content, copy, 2**20)
            copy.flush()
            os.fsync(copy.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
