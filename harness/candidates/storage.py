"""One place for the artefacts of several machines: a local or shared folder, or an object store, by fsspec.

Content is kept once, under its hash: ``blobs/<first 2 digits>/<SHA-256>``. What makes an artefact of it is a manifest,
``artefacts/<kind>/<name>.json``, which is written when all its blobs are there. No object is ever half there.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from harness.candidates.artefacts import ABANDONED_DAYS, MANIFEST, Artefact
from harness.errors import HarnessError
from harness.records.hashing import file_digest
from harness.records.privacy import without_private

_WHOLE_UPLOADS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"}
"""Protocols whose ``put_file`` makes an object that is there when its upload is complete, and not before."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = ".part"
_PROBE = b"harness can write here\n"


class Storage:
    """A location that artefacts are offered to and fetched from, by any number of machines at the same time.

    One that cannot be reached holds no work up: :meth:`offer` and :meth:`fetch` say so in one line on stderr, and the
    artefact is made, or stays, where it is. :meth:`check` tells beforehand.
    """

    def __init__(self, location: str, files: Any, root: str) -> None:
        """``files`` is fsspec's file system, ``root`` the path of the location in it; see :meth:`at`."""
        from fsspec.implementations.local import LocalFileSystem

        self.location = location
        self._files, self._root = files, root.rstrip("/")
        self._is_local = isinstance(files, LocalFileSystem)
        protocols = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
        self._uploads_whole = not _WHOLE_UPLOADS.isdisjoint(protocols)
        self._damaged: set[str] = set()
        """What was found damaged and has not been written again since, in case it could not be removed."""

    @classmethod
    def at(cls, location: str) -> Storage:
        """The storage at a folder's path or at an address of fsspec, such as ``s3://bucket/prefix``.

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
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe")
            probe.write_bytes(_PROBE)
            self._put(probe, name)
        found = self._read(name)
        with self._told():
            self._files.rm_file(self._path(name))
        if found != _PROBE:
            raise _unusable(self.location, ValueError("what was written is not what is read back"))

    def offer(self, artefact: Artefact, kind: str) -> None:
        """Put a whole artefact there, unless one of its name is: blobs that are missing, and its manifest last.

        Raises HarnessError where it has a file whose name :meth:`fetch` would refuse.
        """
        manifest = _manifest_name(kind, artefact.path.name)
        self._refuse_names(artefact.files, manifest)
        try:
            if self._size(manifest) is not None:
                return
            for name, sha256 in artefact.files.items():
                file, blob = artefact.path / name, _blob_name(sha256)
                if self._size(blob) != file.stat().st_size:
                    self._put(file, blob)
            self._put(artefact.path / MANIFEST, manifest)
        except _UnusableError as error:
            print(f"{error}; artefact {artefact.path.name} stays on this machine", file=sys.stderr)

    def fetch(self, kind: str, place: Path) -> bool:
        """Bring the artefact that belongs at ``place`` there; whether it is there now, whole and verified.

        It is not where the storage has no manifest of its name, or a blob is missing or has another content; that is
        said in one line, and removed where it can be, so that the next offer makes it good. Nothing may be at
        ``place``. Raises HarnessError where the manifest names files outside of the folder, and OSError where this
        machine's disk refuses.
        """
        manifest = _manifest_name(kind, place.name)
        try:
            text = self._read(manifest)
            return text is not None and self._download(text, manifest, place)
        except _UnusableError as error:
            print(f"{error}; artefact {place.name} is not fetched", file=sys.stderr)
            return False

    def _download(self, text: bytes, manifest: str, place: Path) -> bool:
        files = _files_of(text)
        if files is None:
            self._discard(place.name, manifest)
            return False
        self._refuse_names(files, manifest)
        aside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            for name, sha256 in files.items():
                target = aside / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if not self._get(_blob_name(sha256), target):
                    self._discard(place.name, manifest)
                    return False
                if file_digest(target) != sha256:
                    self._discard(place.name, manifest, _blob_name(sha256))
                    return False
            with (aside / MANIFEST).open("wb") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            aside.rename(place)
            return True
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _refuse_names(self, files: dict[str, str], manifest: str) -> None:
        for name in files:
            if not _is_plain(name) or any(str(above) in files for above in PurePosixPath(name).parents):
                shown = without_private(self.location)
                raise HarnessError(
                    f"{manifest} in the storage {shown} names a file that no artefact may have: {name!r}"
                )

    def _discard(self, artefact: str, *names: str) -> None:
        """Remove what is damaged, the manifest first: it may only be there while its blobs are."""
        shown = without_private(self.location)
        print(f"artefact {artefact} is damaged or incomplete in the storage {shown}: not used", file=sys.stderr)
        self._damaged.update(names)
        for name in names:
            with suppress(_UnusableError), self._told():
                self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _size(self, name: str) -> int | None:
        """Bytes of an object; None where it is absent or known to be damaged."""
        if name in self._damaged:
            return None
        with self._told():
            self._files.invalidate_cache()  # of listings: other machines write there too
            try:
                return int(self._files.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def _read(self, name: str) -> bytes | None:
        with self._told():
            try:
                return bytes(self._files.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def _get(self, name: str, target: Path) -> bool:
        """Download an object; whether it was there."""
        with self._told(ours=(errno.ENOSPC, errno.EDQUOT, errno.EROFS)):
            try:
                self._files.get_file(self._path(name), str(target))
            except FileNotFoundError:
                return False
        return True

    def _put(self, source: Path, name: str) -> None:
        """Write an object whole or not at all, whoever else writes it and whenever this is killed.

        In folders it is written aside and renamed. Uploads to object stores appear when they are complete. Elsewhere it
        is uploaded aside and moved: as whole as the protocol's moving is.
        """
        target = self._path(name)
        with self._told():
            if self._is_local:
                _copy_whole(source, Path(target))
            elif self._uploads_whole:
                self._files.put_file(str(source), target)
            else:
                folder = target.rpartition("/")[0]
                aside = f"{folder}/.{uuid.uuid4().hex}{_PART}"
                self._files.makedirs(folder, exist_ok=True)
                try:
                    self._files.put_file(str(source), aside)
                    self._files.mv(aside, target)
                except BaseException:
                    with suppress(Exception):
                        self._files.rm_file(aside)
                    raise
        self._damaged.discard(name)

    @contextmanager
    def _told(self, ours: tuple[int, ...] = ()) -> Iterator[None]:
        """Whatever a protocol's package raises is the one line; but the errors ``ours`` are of this machine's disk."""
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError) and error.errno in ours:
                raise
            raise _unusable(self.location, error) from error


class _UnusableError(HarnessError):
    """The storage cannot be reached, or refuses."""


def _unusable(location: str, error: Exception) -> _UnusableError:
    return _UnusableError(f"cannot use the storage {without_private(location)}: {without_private(_reason(error))}")


def _reason(error: Exception) -> str:
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return "a file is where a folder should be"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ImportError) and error.args == (None,):  # fsspec knows no package to name
        return str(error.__cause__)
    return str(error) or type(error).__name__


def _manifest_name(kind: str, artefact: str) -> str:
    return f"artefacts/{kind}/{artefact}.json"


def _blob_name(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def _files_of(manifest: bytes) -> dict[str, str] | None:
    """The files of a manifest and their hashes; None where it is no manifest."""
    try:
        files = json.loads(manifest)["files"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    sound = isinstance(files, dict) and all(
        isinstance(each, str) and _SHA256.fullmatch(each) for each in files.values()
    )
    return files if sound else None


def _is_plain(name: str) -> bool:
    """Whether a name, from outside, is a file's below the folder on any system, and not the manifest's."""
    parts = name.split("/")
    inside = name.isprintable() and "\\" not in name and not PureWindowsPath(name).drive
    return inside and name != MANIFEST and all(part not in ("", ".", "..") for part in parts)


def _copy_whole(source: Path, target: Path) -> None:
    """Copy a file into a folder that others see: it is there whole, on the disk, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{uuid.uuid4().hex}{_PART}")
    try:
        with (
            source.open("rb") as content,
            aside.open("xb") as copy,
        ):  # with the rights that others expect, unlike mkstemp
            shutil.copyfileobj(content, copy, 2**20)
            copy.flush()
            os.fsync(copy.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    for left in target.parent.glob(f".*{_PART}"):  # by kills
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED_DAYS * 86_400:
                left.unlink()
