"""Artefacts: folders that cost work to make, kept under the hash of everything that made them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from harness.errors import HarnessError
from harness.records.hashing import digest, file_digest, short
from harness.records.objects import ABANDONED_DAYS

if TYPE_CHECKING:
    from harness.candidates.storage import Storage

MANIFEST = "artefact.json"
STORAGE = "HARNESS_STORAGE"
"""The environment variable with the location of the storage that several machines share."""


@dataclass(frozen=True)
class Artefact:
    """A whole, verified folder and the SHA-256 of every file in it."""

    path: Path
    files: dict[str, str]

    @property
    def hash(self) -> str:
        """Names the content, whatever it was made from."""
        return digest(self.files)


Seal = dict[str, tuple[int, int, int]]
"""Of every file of a folder its size, the time of its last change (ns) and its inode: what tells, without reading them,
whether files are still those that were checked."""


class ArtefactStore:
    """A cache folder of artefacts. ``damaged`` names those that it has found damaged and made again.

    An artefact is built aside and renamed into place, so that it is whole or absent; a lock a name lets several
    runs share one cache. The hashes of its files are checked whenever it is taken out: one that was cut short or
    swapped is built again.

    With a storage, which other machines' caches share, what is not in the cache is fetched from there before it is
    built, and what the storage lacks is offered to it. Where none is given it is the one whose location, a folder or an
    address of fsspec, the environment variable ``HARNESS_STORAGE`` holds; without that there is none.
    """

    def __init__(self, folder: Path, storage: Storage | None = None) -> None:
        """Raises HarnessError where ``HARNESS_STORAGE`` is no location that can be used."""
        self.folder = folder
        self.storage = storage or _storage_of_environment()
        self.damaged: list[str] = []

    def place(self, kind: str, label: str, description: Any) -> Path:
        """Where the artefact with this description is, or would be."""
        return self.folder / kind / f"{label}-{short(digest([kind, description]))}"

    def workplace(self, kind: str, label: str, description: Any) -> Path:
        """A folder, outside of the artefact, in which what makes it can keep its state; it is made where it is absent.

        Those not written to for ``ABANDONED_DAYS`` are removed, unless their artefact is being made right now, whatever
        the clock says. Raises HarnessError when it cannot be made.
        """
        folder = self._workplace(kind, label, description)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _disk_error(error, self.folder) from error
        for other in folder.parent.iterdir():
            with suppress(OSError):  # another run may be done with its own and remove it right now
                if other != folder and time.time() - other.stat().st_mtime > ABANDONED_DAYS * 86_400:
                    with _nobody_makes(self.folder / kind / other.name) as free:
                        if free:
                            shutil.rmtree(other, ignore_errors=True)
        return folder

    def clear_workplace(self, kind: str, label: str, description: Any) -> None:
        """Remove what was kept to go on with, once the artefact itself is there."""
        shutil.rmtree(self._workplace(kind, label, description), ignore_errors=True)

    def _workplace(self, kind: str, label: str, description: Any) -> Path:
        return self.folder / "unfinished" / self.place(kind, label, description).name

    def get(self, kind: str, label: str, description: Any, build: Callable[[Path], None]) -> Artefact:
        """Take the artefact out, calling ``build`` with an empty folder if it is neither here nor in the storage whole.

        Raises HarnessError when the folder cannot be written; errors of ``build`` pass through.
        """
        place = self.place(kind, label, description)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(place.with_name(place.name + ".lock")):
                found = open_artefact(place) or self._fetch(kind, place) or self._build(place, description, build)
                if self.storage:
                    self.storage.offer(found, kind)
                return found
        except OSError as error:
            raise _disk_error(error, self.folder) from error
        except SafetensorError as error:
            if f"os error {errno.ENOSPC}" in str(error):
                raise _disk_error(OSError(errno.ENOSPC, "no space"), self.folder) from error
            raise

    def _fetch(self, kind: str, place: Path) -> Artefact | None:
        if not self.storage:
            return None
        self._make_room(place)
        return open_artefact(place) if self.storage.fetch(kind, place) else None

    def _make_room(self, place: Path) -> None:
        if place.exists():
            print(f"artefact {place.name} is damaged: making it again", file=sys.stderr)
            self.damaged.append(place.name)
            shutil.rmtree(place)
        _clear_asides(place)

    def _build(self, place: Path, description: Any, build: Callable[[Path], None]) -> Artefact:
        self._make_room(place)
        aside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            build(aside)
            files = {
                str(path.relative_to(aside)): file_digest(path) for path in sorted(aside.rglob("*")) if path.is_file()
            }
            manifest = {"description": description, "files": files}
            with (aside / MANIFEST).open("w", encoding="utf-8") as stream:
                json.dump(manifest, stream, indent=1, sort_keys=True)
                stream.flush()
                os.fsync(stream.fileno())
            aside.rename(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return Artefact(place, files)


def open_artefact(place: Path) -> Artefact | None:
    """The artefact at ``place``, or None where it is absent or its files are not those of its manifest."""
    try:
        files = json.loads((place / MANIFEST).read_text(encoding="utf-8"))["files"]
        intact = all(file_digest(place / name) == expected for name, expected in files.items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return Artefact(place, files) if intact else None


def seal_of(folder: Path) -> Seal:
    """The seal of a folder's files; empty where there is no folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _state_of(path) for path in files}


def is_broken(folder: Path, seal: Seal) -> bool:
    """Whether a file of the seal is gone or is another one; others beside them, such as an engine's, do not count."""
    try:
        return any(_state_of(folder / name) != state for name, state in seal.items())
    except OSError:
        return True


def _storage_of_environment() -> Storage | None:
    location = os.environ.get(STORAGE)
    if not location:
        return None
    from harness.candidates.storage import Storage  # fsspec takes a quarter of a second

    return Storage.at(location)


def _state_of(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _clear_asides(place: Path) -> None:
    """Remove what killed builds left beside ``place``: its own, whose lock is held, and those that nobody works on."""
    for aside in place.parent.glob(".*-*"):
        name = aside.name[1:].rpartition("-")[0]
        if name == place.name:
            shutil.rmtree(aside, ignore_errors=True)
        elif name and aside.is_dir():
            with _nobody_makes(place.with_name(name)) as free:
                if free:
                    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _nobody_makes(place: Path) -> Iterator[bool]:
    """Whether no process makes the artefact at ``place`` right now; if so, none begins to within the block."""
    if not place.parent.is_dir():
        yield True
        return
    lock = FileLock(place.with_name(place.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _disk_error(error: OSError, folder: Path) -> Exception:
    if error.errno == errno.ENOSPC:
        return HarnessError(f"no space left for artefacts in {folder}; --cache-dir takes another folder")
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
        return HarnessError(f"cannot write artefacts to {folder}: {error.strerror}; --cache-dir takes another folder")
    return error
