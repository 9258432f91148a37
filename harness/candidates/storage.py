"""The artefacts of several machines in one place (:mod:`harness.records.objects`).

Content is kept once, under its hash: ``blobs/<first 2 digits>/<SHA-256>``. What makes an artefact of it is a manifest,
``artefacts/<kind>/<name>.json``, which is written when all its blobs are there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

from harness.candidates.artefacts import MANIFEST, Artefact
from harness.errors import HarnessError
from harness.records.hashing import file_digest
from harness.records.objects import Objects, UnusableError
from harness.records.privacy import without_private

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Storage:
    """Where artefacts are offered to and fetched from, by any number of machines at the same time.

    One that cannot be reached holds no work up: :meth:`offer` and :meth:`fetch` say so in one line on stderr, and the
    artefact is made, or stays, where it is.
    """

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.troubles: list[str] = []
        """What went wrong, a line each."""
        self._damaged: set[str] = set()
        """What was found damaged and has not been written again since, in case it could not be removed."""

    @classmethod
    def at(cls, location: str) -> Storage:
        """The storage at a location; see :meth:`harness.records.objects.Objects.at` for it and the errors."""
        return cls(Objects.at(location))

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
        except UnusableError as error:
            self._tell(f"{error}; artefact {artefact.path.name} stays on this machine")

    def fetch(self, kind: str, place: Path) -> bool:
        """Bring the artefact that belongs at ``place`` there; whether it is there now, whole and verified.

        It is not where the storage has no manifest of its name, or a blob is missing or has another content; that is
        said in one line, and removed where it can be, so that the next offer makes it good. Nothing may be at
        ``place``. Raises HarnessError where the manifest names files outside of the folder, and OSError where this
        machine's disk refuses.
        """
        manifest = _manifest_name(kind, place.name)
        try:
            text = self.objects.read(manifest)
            return text is not None and self._download(text, manifest, place)
        except UnusableError as error:
            self._tell(f"{error}; artefact {place.name} is not fetched")
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
                if not self.objects.get(_blob_name(sha256), target):
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
                shown = without_private(self.objects.location)
                raise HarnessError(
                    f"{manifest} in the storage {shown} names a file that no artefact may have: {name!r}"
                )

    def _discard(self, artefact: str, *names: str) -> None:
        """Remove what is damaged, the manifest first: it may only be there while its blobs are."""
        shown = without_private(self.objects.location)
        self._tell(f"artefact {artefact} is damaged or incomplete in the storage {shown}: not used")
        self._damaged.update(names)
        for name in names:
            with suppress(UnusableError):
                self.objects.remove(name)

    def _tell(self, trouble: str) -> None:
        print(trouble, file=sys.stderr)
        self.troubles.append(trouble)

    def _size(self, name: str) -> int | None:
        """Bytes of an object; None where it is absent or known to be damaged."""
        return None if name in self._damaged else self.objects.size(name)

    def _put(self, source: Path, name: str) -> None:
        self.objects.put(source, name)
        self._damaged.discard(name)


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
