"""Kills a program at its write steps; every Python process that has this folder on its import path loads it.

A *step* is one thing that changes a file below ``KILLS_FOLDER``: opening it for writing, renaming, removing, making a
folder, or having a record on its way to the disk. Each step has a label without the parts of it that chance makes.
The first time that a step with a new label comes up, the process that is about to do it is killed, or with
``KILLS_VICTIM=parent`` the program's first process. A record's step may leave half of its line, as a power cut would.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

FOLDER = os.path.realpath(os.environ["KILLS_FOLDER"])
SEEN = Path(os.environ["KILLS_SEEN"])
VICTIM = os.environ["KILLS_VICTIM"]
FIRST = int(os.environ.setdefault("KILLS_FIRST", str(os.getpid())))
_CHANCE = re.compile(r"(?<=\.)\d+$|\d{8}-\d{6}(-\d+)?|[0-9a-f]{16}")
_ASIDE = re.compile(r"^(\..*)-[a-z0-9_]{8}$")
_really_sync = os.fsync


def label_of(event: str, path: str) -> str:
    """A step's name: what is done to which file, without hashes, times and process ids."""
    parts = [_ASIDE.sub(r"\1", part) for part in os.path.relpath(path, FOLDER).split(os.sep)]
    return f"{event} {'/'.join(_CHANCE.sub('#', part) for part in parts)}"


def at_step(event: str, path: str) -> None:
    """Kill here, unless this label has had its kill."""
    mine = os.getpid() == FIRST
    if VICTIM == "parent" and mine:
        return
    name = f"{VICTIM} {'parent' if mine else 'worker'} {label_of(event, path)}"
    if name in SEEN.read_text(encoding="utf-8").splitlines():
        return
    with SEEN.open("a", encoding="utf-8") as stream:
        stream.write(name + "\n")
    if event.startswith("record") and len(name) % 2:
        os.truncate(path, os.path.getsize(path) - 20)
    os.kill(FIRST if VICTIM == "parent" else os.getpid(), signal.SIGKILL)


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: hears of a step just before it is done."""
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
            return
    elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"):
        path = arguments[0]
    else:
        return
    if isinstance(path, (str, bytes, os.PathLike)):
        full = os.path.abspath(os.fsdecode(path))
        if full.startswith(FOLDER + os.sep) and not full.endswith((".lock", "records.jsonl")):
            at_step(event, full)


def sync(descriptor: int) -> None:
    """Instead of ``os.fsync``: a step of its own for every line of records."""
    with contextlib.suppress(OSError):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path.startswith(FOLDER) and path.endswith("records.jsonl"):
            line = json.loads(Path(path).read_bytes().splitlines()[-1])
            metric = line["fact"]["metric"] if line["fact"] else "closing"
            at_step(f"record of {line['kind']}, {metric},", path)
    _really_sync(descriptor)


if VICTIM in ("writer", "parent"):
    os.fsync = sync
    sys.addaudithook(hear)
