"""The runs and baselines that markers name, each read once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.records.baselines import SUFFIX, open_baseline
from harness.records.record import Record
from harness.records.rows import Row, make_rows
from harness.records.run_folder import RECORDS_FILE, RUN_FILE, open_run

if TYPE_CHECKING:
    from harness.records.stored_run import StoredRun


@dataclass(frozen=True)
class Source:
    """A run or a baseline, read."""

    name: str
    info: dict[str, Any]
    records: list[Record]

    @cached_property
    def rows(self) -> list[Row]:
        """A row a variant."""
        return make_rows(self.records)


@dataclass
class Sources:
    """Runs and baselines by what markers call them: a path from the file that names them, else the name of a run in
    ``runs_dir`` or of a baseline in ``baselines_dir``."""

    runs_dir: Path
    baselines_dir: Path
    _read: dict[str, Source] = field(default_factory=dict)

    def find(self, called: str, folder: Path) -> Source:
        """The run or baseline of that path in ``folder`` or of that name.

        Raises HarnessError where there is none, where a name is both, where it is damaged, and for ``latest``, which
        would be another run tomorrow.
        """
        path = self._path(called, folder)
        key = os.path.realpath(path)
        if key not in self._read:
            found = _open(path)
            self._read[key] = Source(found.name, found.info, found.records())
        return self._read[key]

    def _path(self, called: str, folder: Path) -> Path:
        path = folder / called
        if _is_source(path):
            return path
        if called == "latest":
            raise HarnessError("'latest' is another run tomorrow; name one, so that the table can be made again")
        if called in (".", "..") or Path(called).name != called:
            raise HarnessError(f"there is neither a run nor a baseline in {path}")
        kept = (self.runs_dir / called, self.baselines_dir / f"{called}{SUFFIX}")
        named = [each for each in kept if _is_source(each)]
        if len(named) > 1:
            raise HarnessError(f"'{called}' is a run and a baseline; say which by its path from this file")
        if not named:
            raise HarnessError(f"no run or baseline {path}, no run in {self.runs_dir}, no baseline {kept[1]}")
        return named[0]


def _is_source(path: Path) -> bool:
    """Whether there is a run's folder or a file; what is neither, such as a pipe, is never opened."""
    if os.path.isdir(path):
        records = path / RECORDS_FILE
        return os.path.isfile(path / RUN_FILE) and (os.path.isfile(records) or not os.path.lexists(records))
    return os.path.isfile(path)


def _open(path: Path) -> StoredRun:
    return open_run(path) if os.path.isdir(path) else open_baseline(path)
