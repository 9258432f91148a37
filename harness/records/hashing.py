"""The one way to hash: canonical JSON for descriptions, SHA-256 of content for files."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent


def digest(description: Any) -> str:
    """SHA-256, in hexadecimal, of ``description`` as canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def short(full_digest: str) -> str:
    """The first 16 hexadecimal digits: enough to name a folder or a task."""
    return full_digest[:16]


def file_digest(path: Path) -> str:
    """SHA-256, in hexadecimal, of a file's content, read in bounded memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def code_digest(*parts: str) -> str:
    """SHA-256 over the source files of the named parts of this package: folders such as ``"training"``, or modules such
    as ``"engines/export.py"``.

    A task or an artefact that names the parts that made it is made again when their code changes.
    """
    folders = [PACKAGE / part for part in parts if not part.endswith(".py")]
    modules = [PACKAGE / part for part in parts if part.endswith(".py")]
    files = sorted({*modules, *(path for folder in folders for path in folder.rglob("*.py"))})
    return digest({str(path.relative_to(PACKAGE)): file_digest(path) for path in files})
