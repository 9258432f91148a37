"""Markdown files on the disk: read with every byte known, written whole or not at all, and their difference."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError


@dataclass(frozen=True)
class MarkdownFile:
    """A file as it was ``named``, its ``path`` without links, its ``text`` without a byte order mark, and whether it
    has one."""

    named: str
    path: Path
    text: str
    has_mark: bool

    @property
    def folder(self) -> Path:
        """The folder that paths in it are relative to; where it was named by a link, that of the file itself."""
        named = Path(self.named)
        return self.path.parent if named.is_symlink() else named.parent

    def bytes_of(self, text: str) -> bytes:
        """What is on the disk where the file holds this text."""
        return (codecs.BOM_UTF8 if self.has_mark else b"") + text.encode("utf-8")


def read_files(named: Sequence[Path]) -> list[MarkdownFile]:
    """The files, each once however often it is named.

    Raises HarnessError for what is no file, cannot be read or is not UTF-8.
    """
    found: dict[Path, MarkdownFile] = {}
    for each in named:
        file = _read(each)
        found.setdefault(file.path, file)
    return list(found.values())


def write_files(changed: Sequence[tuple[MarkdownFile, str]]) -> None:
    """Write new texts: all aside first, and when the disk has taken them, each is renamed into place, with the
    permissions of the old. So a reader finds an old file or a new one, and a disk that is full changes none. The file
    that a link leads to is replaced, not the link.

    Raises HarnessError where a file may not be written.
    """
    with contextlib.ExitStack() as stack:
        waiting = [(stack.enter_context(_aside(file, file.bytes_of(text))), file) for file, text in changed]
        for aside, file in waiting:
            with _one_line(file.named, "write"):
                os.replace(aside, file.path)


def difference(file: MarkdownFile, text: str) -> str:
    """From the file to a new text, as a unified diff; empty where they differ by the ends of their lines at most."""
    name = os.fsencode(file.named).decode("utf-8", "replace")
    old, new = _lines(file.text), _lines(text)
    compared = difflib.unified_diff(old, new, name, name)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in compared)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", re.sub(r"\r\n?", "\n", text))


def _read(named: Path) -> MarkdownFile:
    with _one_line(str(named), "read"):
        path = Path(os.path.realpath(named, strict=True))
        if not stat.S_ISREG(path.stat().st_mode):
            raise HarnessError(f"{named} is not a file")
        content = path.read_bytes()
    has_mark = content.startswith(codecs.BOM_UTF8)
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise HarnessError(f"{named} is not UTF-8: {error.reason} at byte {error.start}") from error
    return MarkdownFile(str(named), path, text, has_mark)


@contextlib.contextmanager
def _aside(file: MarkdownFile, content: bytes) -> Iterator[str]:
    """A file beside another, with this content and the other's permissions; it is gone afterwards."""
    with contextlib.ExitStack() as stack:
        with _one_line(file.named, "write"):
            if not os.access(file.path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
                raise HarnessError(f"cannot write {file.named}: it may only be read")
            number, aside = tempfile.mkstemp(dir=file.path.parent, prefix=".harness-docs-")
            stack.callback(lambda: Path(aside).unlink(missing_ok=True))
            with open(number, "wb") as stream:
                stream.write(content)
                stream.flush()
                _same_owner(number, file.path.stat())
                os.fsync(number)
        yield aside


def _same_owner(number: int, old: os.stat_result) -> None:
    """Give an open file the permissions of another, and its owner where that is allowed."""
    if hasattr(os, "fchown") and (os.geteuid(), os.getegid()) != (old.st_uid, old.st_gid):
        with contextlib.suppress(PermissionError):
            os.fchown(number, old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(number, stat.S_IMODE(old.st_mode))


@contextlib.contextmanager
def _one_line(named: str, verb: str) -> Iterator[None]:
    """What the system refuses, as an error that names the file."""
    try:
        yield
    except OSError as error:
        raise HarnessError(f"cannot {verb} {named}: {error.strerror or error}") from error
    except ValueError as error:  # a name with a NUL in it
        raise HarnessError(f"cannot {verb} {named!r}: {error}") from error
