"""Options that several verbs share, and where things are kept."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import HarnessError

DEFAULT_RUNS = Path("runs")

RunsDir = Annotated[Path, typer.Option("--runs-dir", help="where runs are kept")]
CacheDir = Annotated[
    Path | None, typer.Option("--cache-dir", envvar="HARNESS_CACHE", help="where checkpoints and exports are kept")
]
Offline = Annotated[bool, typer.Option("--offline", help="never use the network")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="threads of every engine; default all cores")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a key of the suite")]

Local = Annotated[
    list[str] | None,
    typer.Option("--local", metavar="NAME=FOLDER", help="a checkpoint folder in place of a published candidate's"),
]


def cache_folder(chosen: Path | None) -> Path:
    """The cache folder: as asked for, or the system's usual place. Raises HarnessError where it cannot be made."""
    if chosen is None:
        import platformdirs

        chosen = Path(platformdirs.user_cache_dir("harness", appauthor=False))
    folder = chosen.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"cannot make the cache folder {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise HarnessError(f"the cache folder {folder} cannot be written; --cache-dir takes another")
    return folder


def shown_command() -> str:
    """The command as it was given, to be given again; the user's home is not spelled out."""
    from harness.records.privacy import without_private

    words = [without_private(word) for word in sys.argv[1:]]
    quoted = ["~/" + shlex.quote(word[2:]) if word.startswith("~/") else shlex.quote(word) for word in words]
    return " ".join(["python", "-m", "harness", *quoted])
