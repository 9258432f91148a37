"""The records of a run: one file, appended line by line, never rewritten."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.errors import HarnessError
from harness.records.record import Record


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

    def read(self) -> list[Record]:
        """All whole records, in the order they were written; an absent file has none."""
        return list(self._lines())

    def finished(self) -> list[Record]:
        """Records of tasks that have closed, each task's last attempt only."""
        return latest_attempts(self.read())

    def _lines(self) -> Iterator[Record]:
        for number, line in whole_lines(self.path):
            try:
                yield Record.from_json(line.decode("utf-8"))
            except (ValueError, TypeError, KeyError) as error:
                raise HarnessError(f"{self.path}, line {number}: {error}") from error


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines, each on the disk before the next; a torn line at the end of the file is cut off first.

    Raises HarnessError when the disk refuses.
    """
    try:
        with path.open("ab") as stream:
            _cut_torn_line(path)
            for line in lines:
                stream.write(line.encode("utf-8") + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror or error}") from error


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, without one that is torn; an absent file has none.

    Raises HarnessError where the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}") from error
    whole, _, _torn = content.rpartition(b"\n")
    yield from enumerate(whole.split(b"\n") if whole else [], start=1)


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
