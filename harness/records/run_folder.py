"""A run's folder: what was asked for, on which machine, and the records of what came out."""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import HarnessError
from harness.records.json_text import parse_json
from harness.records.record import Record
from harness.records.sharing import for_reports
from harness.records.store import RecordStore

RUN_FILE = "run.json"
RECORDS_FILE = "records.jsonl"
REPORT_FILE = "report.md"


@dataclass(frozen=True)
class RunFolder:
    """``run.json`` (suite, environment, command, corpus; written once, but for a cluster's machines),
    ``records.jsonl`` and the rendered reports.

    ``identity`` names everything that must be equal for a run to be resumed rather than begun anew.
    """

    path: Path
    info: dict[str, Any]

    @property
    def name(self) -> str:
        """The folder's name, which records carry."""
        return self.path.name

    def description(self) -> str:
        """What ``run.json`` holds."""
        return json.dumps(self.info, indent=1, ensure_ascii=False)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes to the folder inside of the block. Raises HarnessError where somebody does."""
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise HarnessError(f"another run is writing to {self.path}") from None
        try:
            yield
        finally:
            lock.release()

    @property
    def store(self) -> RecordStore:
        """The run's records."""
        return RecordStore(self.path / RECORDS_FILE)

    def records(self) -> list[Record]:
        """Records of finished tasks, each task's last attempt only, without what no report looks at: the raw readings
        of a timing and what workers printed. ``store.finished()`` has these too."""
        return self.store.finished(for_reports)

    def closings(self) -> list[Record]:
        """The closing records of finished tasks: what became of each, without the facts that it found."""
        return self.store.closings()


def create_run(runs_dir: Path, suite_name: str, identity: str, info: dict[str, Any]) -> RunFolder:
    """Make a folder named after the suite and the time (UTC). Raises HarnessError where it cannot be written."""
    stamp = datetime.now(UTC)
    body = {"schema_version": 1, "identity": identity, "created": stamp.isoformat(timespec="seconds"), **info}
    return _make_run(runs_dir, suite_name, f"-{stamp:%Y%m%d-%H%M%S}", body, attempts=1000)


def place_run(runs_dir: Path, name: str, info: dict[str, Any]) -> RunFolder:
    """Make a folder for a run that was begun elsewhere, with what its ``run.json`` says and no records.

    Raises HarnessError where it cannot be written, or where another run has this name.
    """
    return _make_run(runs_dir, name, "", info, attempts=1)


def _make_run(runs_dir: Path, name: str, ending: str, info: dict[str, Any], attempts: int) -> RunFolder:
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        aside = _aside(runs_dir / name, uuid.uuid4().hex)
        aside.mkdir()
        try:
            write_whole(aside / RUN_FILE, RunFolder(aside, info).description())
            path = _move_to_fresh_name(aside, runs_dir, name + ending, attempts)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise HarnessError(f"cannot write to {runs_dir}: {error.strerror or error}; see --runs-dir") from error
    return RunFolder(path, info)


def with_machines(run: RunFolder, machines: list[dict[str, Any]]) -> RunFolder:
    """The run with the machines of a cluster, beside others that it was measured on before.

    Raises HarnessError where ``run.json`` cannot be written.
    """
    listed: dict[tuple[str, str], dict[str, Any]] = {}
    for each in [*run.info.get("machines", []), *machines]:
        before = listed.get((each["hash"], each["kind"]), {})
        listed[each["hash"], each["kind"]] = {**each, "nodes": max(each.get("nodes", 1), before.get("nodes", 1))}
    told = RunFolder(run.path, {**run.info, "machines": list(listed.values())})
    try:
        write_whole(run.path / RUN_FILE, told.description())
    except OSError as error:
        raise HarnessError(f"cannot write {run.path}: {error.strerror or error}") from error
    return told


def open_run(path: Path) -> RunFolder:
    """Open a run. Raises HarnessError where there is none, or where it is damaged."""
    file = path / RUN_FILE
    try:
        info = parse_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise HarnessError(f"no run in {path}: {error.strerror or error} ({RUN_FILE})") from error
    except ValueError as error:
        raise HarnessError(f"{file} is damaged: {error}") from error
    if not isinstance(info, dict) or info.get("schema_version") != 1:
        raise HarnessError(f"{file}: expected schema version 1; was it written by another version of harness?")
    return RunFolder(path, info)


def find_runs(runs_dir: Path) -> list[RunFolder]:
    """All runs in a folder, the oldest first; folders that hold no readable run are passed over."""
    runs = []
    for file in sorted(runs_dir.glob(f"*/{RUN_FILE}")):
        try:
            runs.append(open_run(file.parent))
        except HarnessError:
            continue
    return sorted(runs, key=lambda run: (str(run.info.get("created", "")), run.name))


def find_run(name_or_path: str, runs_dir: Path) -> RunFolder:
    """A run by path, by name, or ``latest``. Raises HarnessError where there is none."""
    runs = find_runs(runs_dir)
    if name_or_path == "latest":
        if not runs:
            raise HarnessError(f"there is no run in {runs_dir}; make one with: harness run --suite cpu")
        return runs[-1]
    for path in (Path(name_or_path), runs_dir / name_or_path):
        if (path / RUN_FILE).exists():
            return open_run(path)
    raise HarnessError(f"no run '{name_or_path}', neither a folder nor in {runs_dir}; see: harness list runs")


def write_whole(path: Path, text: str) -> None:
    """Write a file aside and rename it into place, so that readers find the old text or the new, never a part."""
    aside = _aside(path)
    try:
        with aside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _aside(path: Path, unique: str = "") -> Path:
    """Where this process writes what becomes ``path``. What processes that were killed left there is removed."""
    import psutil

    for other in path.parent.glob(f".{glob.escape(path.name)}.*"):
        writer = other.name.rpartition(".")[2]
        if writer.isdigit() and not psutil.pid_exists(int(writer)):
            if other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
            else:
                other.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{unique}{'.' if unique else ''}{os.getpid()}")


def _move_to_fresh_name(folder: Path, runs_dir: Path, name: str, attempts: int) -> Path:
    """Rename a folder to one that is not there, or is empty; both at once is what rename does."""
    for attempt in range(attempts):
        path = runs_dir / (name if attempt == 0 else f"{name}-{attempt}")
        try:
            return folder.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
    if attempts == 1:
        raise HarnessError(f"another run has the name {name} in {runs_dir}: move it away, or give another --runs-dir")
    raise HarnessError(f"there are too many runs named {name} in {runs_dir}")


def fresh_folder(runs_dir: Path, name: str) -> Path:
    """Make a folder that was not there before. Raises HarnessError where it cannot be made."""
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        for attempt in range(1000):
            path = runs_dir / (name if attempt == 0 else f"{name}-{attempt}")
            try:
                path.mkdir()
                return path
            except FileExistsError:
                continue
    except OSError as error:
        raise HarnessError(f"cannot write to {runs_dir}: {error.strerror or error}; see --runs-dir") from error
    raise HarnessError(f"there are too many runs named {name} in {runs_dir}")
