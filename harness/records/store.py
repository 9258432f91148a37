"""The records of a run: one file, appended line by line, never rewritten, and read a line at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from harness.errors import HarnessError
from harness.records.record import Record, Status
from harness.records.sharing import Sharing

LONGEST_LINE = 64 * 2**20
"""Bytes of the longest line that is written or read; the longest records, quality a document, are a few MB."""


class RecordStore:
    """Append-only ``records.jsonl``.

    Every line is flushed to the disk before :meth:`append` returns. A torn last line, left by a kill or a full
    disk, is cut off before the next append and ignored by readers; any other bad line is an error that names
    file and line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, records: Iterable[Record]) -> None:
        """Append records, one fsynced line each. Raises HarnessError when the disk refuses."""
        append_lines(self.path, (record.to_json() for record in records))

    def take(self, lines: Iterable[str]) -> None:
        """Append lines that another store has, all on the disk when this returns; for errors see :meth:`append`."""
        append_lines(self.path, lines, each_synced=False)

    def read(self) -> list[Record]:
        """All whole records, in the order they were written; an absent file has none."""
        return list(self._lines())

    def finished(self, keep: Callable[[Record], Record] | None = None) -> list[Record]:
        """Records of tasks that have closed, each task's last attempt only.

        The file is read a line at a time, so memory is that of what is returned; ``keep`` says what of a record is.
        """
        lines = map(Sharing().share, self._lines())
        return latest_attempts(map(keep, lines) if keep else lines)

    def closings(self, with_conditions: bool = False) -> list[Record]:
        """The last closing record of each task that has closed, without what its worker printed, and but for those
        ``with_conditions`` without what it ran in. Memory is that of a record a task, whatever the facts."""
        last: dict[str, Record] = {}
        sharing = Sharing()
        for record in self._lines():
            if record.fact is None:
                conditions = record.conditions if with_conditions else {}
                last[record.task] = sharing.share(replace(record, stderr_tail="", conditions=conditions))
        return list(last.values())

    def attempts(self) -> Iterator[bytes]:
        """The lines of each attempt that has closed: its facts, then its closing record."""
        facts: dict[str, list[bytes]] = {}
        for number, line in whole_lines(self.path):
            record = self._parsed(number, line)
            written = facts.setdefault(record.task, [])
            written.append(line + b"\n")
            if record.fact is None:
                yield b"".join(written[-1 - record.facts :])
                del facts[record.task]

    def statuses(self) -> dict[str, Status]:
        """How the last attempt of each task that has closed ended."""
        return {record.task: record.status for record in self._lines() if record.fact is None}

    def _lines(self) -> Iterator[Record]:
        return (self._parsed(number, line) for number, line in whole_lines(self.path))

    def _parsed(self, number: int, line: bytes) -> Record:
        try:
            return Record.from_json(line.decode("utf-8"))
        except (ValueError, TypeError, KeyError) as error:
            raise HarnessError(f"{self.path}, line {number}: {error}") from error


def append_lines(path: Path, lines: Iterable[str], each_synced: bool = True) -> None:
    """Append lines, each on the disk before the next, or all when this returns; a torn line at the end of the file is
    cut off first.

    Raises HarnessError when the disk refuses, and for a line that no reader would take.
    """
    try:
        with path.open("ab") as stream:
            _cut_torn_line(path)
            for line in lines:
                encoded = line.encode("utf-8") + b"\n"
                if len(encoded) > LONGEST_LINE:
                    raise HarnessError(f"cannot write {path}: {_too_long(len(encoded))}")
                stream.write(encoded)
                if each_synced:
                    _sync(stream)
            if not each_synced:
                _sync(stream)
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror or error}") from error


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, without one that is torn; an absent file has none. No more than one line
    is held at a time.

    Raises HarnessError where the file cannot be read, or where a line is longer than ``LONGEST_LINE``.
    """
    number = 0
    try:
        with path.open("rb") as stream:
            while line := stream.readline(LONGEST_LINE):
                number += 1
                if line.endswith(b"\n"):
                    yield number, line[:-1]
                elif len(line) == LONGEST_LINE and _goes_on_to_an_end(stream):
                    raise HarnessError(f"{path}, line {number}: {_too_long()}")
    except FileNotFoundError:
        return
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}") from error


def _goes_on_to_an_end(stream: BinaryIO) -> bool:
    """Whether the line that has begun ends in the file; where it does not it is torn, however long it is."""
    while part := stream.readline(2**20):
        if part.endswith(b"\n"):
            return True
    return False


def _too_long(size: int | None = None) -> str:
    return f"{'a line' if size is None else f'a record of {size} bytes'} is longer than {LONGEST_LINE} bytes"


def latest_attempts(records: Iterable[Record]) -> list[Record]:
    """Keep, for every task, the facts and the closing record of its last attempt that closed."""
    closed: dict[str, list[Record]] = {}
    facts: dict[str, list[Record]] = {}
    for record in records:
        written = facts.setdefault(record.task, [])
        if record.fact is not None:
            written.append(record)
        else:
            closed[record.task] = [*written[max(0, len(written) - record.facts) :], record]
            written.clear()
    return [record for attempt in closed.values() for record in attempt]


def _cut_torn_line(path: Path) -> None:
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        position = size
        while position > 0:
            step = min(position, 65536)
            stream.seek(position - step)
            block = stream.read(step)
            cut = block.rfind(b"\n")
            if cut >= 0:
                position = position - step + cut + 1
                break
            position -= step
        if position < size:
            stream.truncate(position)
