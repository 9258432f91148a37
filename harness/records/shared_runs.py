"""Runs in a storage: what a driver has recorded is there, too, so that another machine can go on with its run.

``runs/<identity>/<name>/run.json``, and beside it one object for each attempt of a task, named by its number in the
run and the SHA-256 of its lines. Attempts are written once, by whoever made them, in any order.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import BoundedSemaphore
from types import TracebackType
from typing import Any

from harness.records.json_text import parse_json
from harness.records.objects import Objects, UnusableError
from harness.records.privacy import without_private
from harness.records.record import Record
from harness.records.run_folder import RUN_FILE, RunFolder, place_run, with_machines

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
_ATTEMPT = re.compile(r"\d{8,}-([0-9a-f]{64})\.jsonl")
_AT_ONCE = 8
_WAITING = 64
"""Attempts that may wait for their upload, with more the run waits; and that are downloaded before they are written."""
_PATIENCE_SECONDS = 30.0
"""Without an upload that ends, after which a storage is given up."""
_LAST_SECONDS = 0.5
"""The same for a run that was interrupted or failed."""


class SharedRun:
    """The attempts of a run in a storage. Uploads go on beside the run, and at its end they are waited for. When one
    fails, or none ends for ``_PATIENCE_SECONDS``, that is told in one line and nothing more is sent: the next start of
    the run on this machine makes up for it."""

    def __init__(self, objects: Objects, run: RunFolder) -> None:
        self._objects = objects
        self._store, self._place = run.store, _place_of(run.info["identity"], run.name)
        self._room = BoundedSemaphore(_WAITING)
        self._threads = ThreadPool(_AT_ONCE if objects.is_shared_by_threads else 1)  # which end with the program
        self._known: set[str] = set()
        self._number = 0
        self._lost = False

    def __enter__(self) -> SharedRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for _ in range(_WAITING):
            self._wait_for_room(_PATIENCE_SECONDS if kind is None else _LAST_SECONDS)
        self._threads.close()

    def catch_up(self, run: RunFolder) -> RunFolder:
        """Exchange what only this machine or only the storage has; the run with the machines that both know.

        Raises HarnessError where the storage cannot be used, and where another process writes to the run's folder.
        """
        with run.locked():
            there = _info_of(self._objects, run.info["identity"], run.name) or {}
            run = with_machines(run, there["machines"]) if there.get("machines") else run
            self.describe(run)
            attempts = dict(self._attempts_there())
            for lines in self._store.attempts():
                self._send(lines, lacking=_hash_of(lines) not in attempts)
            missing = [(sha256, name) for sha256, name in attempts.items() if sha256 not in self._known]
            for start in range(0, len(missing), _WAITING):
                self._take(missing[start : start + _WAITING])
            self._number = max([self._number, *(1 + int(name.partition("-")[0]) for name in attempts.values())])
        return run

    def describe(self, run: RunFolder) -> None:
        """Put ``run.json`` there. Raises HarnessError where the storage cannot be used."""
        self._objects.write(run.description().encode("utf-8"), f"{self._place}/{RUN_FILE}")

    def add(self, records: Iterable[Record]) -> None:
        """Begin to upload an attempt that the run's own store has, inside of a ``with`` block."""
        lines = b"".join(record.to_json().encode("utf-8") + b"\n" for record in records)
        self._send(lines, lacking=_hash_of(lines) not in self._known)

    def _attempts_there(self) -> Iterator[tuple[str, str]]:
        """Hashes and names, in the order of the run that made them."""
        for name in self._objects.names(self._place):
            if match := _ATTEMPT.fullmatch(name):
                yield match[1], name

    def _send(self, lines: bytes, lacking: bool) -> None:
        sha256, number = _hash_of(lines), self._number
        self._known.add(sha256)
        self._number += 1
        if lacking and self._wait_for_room(_PATIENCE_SECONDS):
            self._threads.apply_async(self._upload, (lines, f"{number:08d}-{sha256}.jsonl"))

    def _wait_for_room(self, seconds: float) -> bool:
        """Whether there is room for one upload more, or will be soon."""
        if self._lost:
            return False
        try:
            if not self._room.acquire(timeout=seconds):
                self._lose(f"the storage {without_private(self._objects.location)} does not answer")
        except KeyboardInterrupt:
            self._lost = True
            raise
        return not self._lost

    def _upload(self, lines: bytes, name: str) -> None:
        try:
            if not self._lost:
                self._objects.write(lines, f"{self._place}/{name}")
        except UnusableError as error:
            self._lose(str(error))
        finally:
            self._room.release()

    def _lose(self, why: str) -> None:
        if not self._lost:
            print(f"{why}; records stay on this machine", file=sys.stderr)
        self._lost = True

    def _take(self, attempts: list[tuple[str, str]]) -> None:
        """Download attempts and append those that are sound."""
        places = [f"{self._place}/{name}" for _, name in attempts]
        contents = self._threads.map_async(self._objects.read, places).get()
        taken: list[str] = []
        for (sha256, name), found in zip(attempts, contents, strict=True):
            content = found or b""
            if _hash_of(content) == sha256 and _is_whole(content):
                taken += _lines_of(content)
                self._known.add(sha256)
                self._number += 1
            else:
                print(f"attempt {name} of the run is damaged in the storage: not used", file=sys.stderr)
        self._store.take(taken)


def take_up(objects: Objects, identity: str, runs_dir: Path, mine: RunFolder | None) -> RunFolder | None:
    """The newest run of an identity: ``mine``, or one of the storage that was begun later, which gets a folder here.

    Raises HarnessError where the storage cannot be used, and where another run has that folder.
    """
    place = f"runs/{identity}"
    found = {name: info for name in objects.names(place) if (info := _info_of(objects, identity, name))}
    newest = max(found, key=lambda name: (str(found[name]["created"]), name), default=None)
    if newest is None or (mine and (mine.name == newest or str(mine.info["created"]) >= str(found[newest]["created"]))):
        return mine
    return place_run(runs_dir, newest, found[newest])


def _info_of(objects: Objects, identity: str, name: str) -> dict[str, Any] | None:
    """What ``run.json`` of a run says; None where it is none."""
    if not _NAME.fullmatch(name):
        return None
    try:
        content = objects.read(f"{_place_of(identity, name)}/{RUN_FILE}") or b""
        info = parse_json(content.decode("utf-8"))
    except (UnusableError, ValueError):  # a file where a run's folder would be, or something else than JSON
        return None
    return info if _is_run(info, identity) else None


def _is_run(info: Any, identity: str) -> bool:
    if not isinstance(info, dict) or (info.get("identity"), info.get("schema_version")) != (identity, 1):
        return False
    tables = all(isinstance(info.get(key), dict) for key in ("suite", "environment", "corpus"))
    machines = info.get("machines", [])
    listed = isinstance(machines, list) and all(map(_is_machine, machines))
    return tables and listed and isinstance(info.get("created"), str)


def _is_machine(each: Any) -> bool:
    return isinstance(each, dict) and isinstance(each.get("hash"), str) and isinstance(each.get("kind"), str)


def _place_of(identity: str, name: str) -> str:
    return f"runs/{identity}/{name}"


def _hash_of(lines: bytes) -> str:
    return hashlib.sha256(lines).hexdigest()


def _lines_of(content: bytes) -> list[str]:
    return content.decode("utf-8").removesuffix("\n").split("\n")


def _is_whole(content: bytes) -> bool:
    """Whether these are the lines of an attempt, to the last."""
    try:
        records = [Record.from_json(line) for line in _lines_of(content)]
    except (ValueError, TypeError, KeyError):
        return False
    return content.endswith(b"\n") and records[-1].fact is None
