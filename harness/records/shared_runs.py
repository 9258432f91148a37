"""Runs in a storage: what a driver has recorded is there, too, so that another machine can go on with its run.

``runs/<identity>/<name>/run.json``, and beside it one object for each attempt of a task, named by its number in the
run and the SHA-256 of its lines. Attempts are written once, by whoever made them, in any order.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from harness.records.json_text import parse_json
from harness.records.objects import Objects, UnusableError
from harness.records.record import Record
from harness.records.run_folder import RUN_FILE, RunFolder, place_run

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
_ATTEMPT = re.compile(r"\d{8,}-([0-9a-f]{64})\.jsonl")
_AT_ONCE = 8
_WAITING = 64
"""Attempts that may wait for their upload, with more the run waits; and that are downloaded before they are written."""


class SharedRun:
    """The attempts of a run in a storage. Uploads go on beside the run, and at its end they are waited for. When one
    fails that is told in one line; the next start of the run on this machine makes up for it."""

    def __init__(self, objects: Objects, run: RunFolder) -> None:
        self._objects, self._run = objects, run
        self._place = _place_of(run.info["identity"], run.name)
        self._room = BoundedSemaphore(_WAITING)
        self._known: set[str] = set()
        self._count = 0
        self._lost = False

    def __enter__(self) -> SharedRun:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="records")
        return self

    def __exit__(self, *how: object) -> None:
        self._threads.shutdown()

    def catch_up(self) -> None:
        """Exchange what only this machine or only the storage has.

        Raises HarnessError where the storage cannot be used, and where another process writes to the run's folder.
        """
        self.describe(self._run)
        there = dict(self._attempts_there())
        with self._run.locked(), self:
            for lines in self._run.store.attempts():
                self._send(lines, lacking=_hash_of(lines) not in there)
            missing = [(sha256, name) for sha256, name in there.items() if sha256 not in self._known]
            for start in range(0, len(missing), _WAITING):
                self._take(missing[start : start + _WAITING])

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
        sha256, number = _hash_of(lines), self._count
        self._known.add(sha256)
        self._count += 1
        if lacking and not self._lost:
            self._room.acquire()
            self._threads.submit(self._upload, lines, f"{number:08d}-{sha256}.jsonl")

    def _upload(self, lines: bytes, name: str) -> None:
        try:
            if not self._lost:
                self._objects.write(lines, f"{self._place}/{name}")
        except UnusableError as error:
            if not self._lost:
                print(f"{error}; records stay on this machine", file=sys.stderr)
            self._lost = True
        finally:
            self._room.release()

    def _take(self, attempts: list[tuple[str, str]]) -> None:
        """Download attempts and append those that are sound."""
        contents = self._threads.map(lambda attempt: self._objects.read(f"{self._place}/{attempt[1]}") or b"", attempts)
        taken: list[str] = []
        for (sha256, name), content in zip(attempts, contents, strict=True):
            if _hash_of(content) == sha256 and _is_whole(content):
                taken += _lines_of(content)
                self._known.add(sha256)
                self._count += 1
            else:
                print(f"attempt {name} of the run is damaged in the storage: not used", file=sys.stderr)
        self._run.store.take(taken)


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
    content = objects.read(f"{_place_of(identity, name)}/{RUN_FILE}") if _NAME.fullmatch(name) else None
    try:
        info = parse_json(content.decode("utf-8")) if content else None
    except ValueError:
        return None
    expected = {"identity": identity, "schema_version": 1}
    sound = isinstance(info, dict) and "created" in info and expected.items() <= info.items()
    return info if sound else None


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
