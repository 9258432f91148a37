"""Baselines: runs kept under a name, each in one JSON file that can be committed, to hold later runs against."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.records.damage import DAMAGE, told_as_damage
from harness.records.json_text import parse_json
from harness.records.metrics import METRICS
from harness.records.record import Record
from harness.records.rows import make_rows
from harness.records.run_folder import RunFolder, write_whole

SCHEMA_VERSION = 1
SUFFIX = ".json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RESERVED = ("latest",)


@dataclass(frozen=True)
class Baseline:
    """What ``run.json`` of the run ``run`` says, and its records, saved (UTC) under a name.

    It is read like a run: ``name``, ``info`` and ``records()``.
    """

    name: str
    run: str
    saved: str
    info: dict[str, Any]
    kept: tuple[Record, ...]

    def records(self) -> list[Record]:
        """Records of finished tasks, without what no comparison needs: raw readings, sample texts, what workers
        printed."""
        return list(self.kept)


def save_baseline(run: RunFolder, name: str, folder: Path, overwrite: bool = False) -> Path:
    """Keep a run under a name, in ``folder/NAME.json``; the file is written whole or not at all.

    Raises HarnessError for a bad name, for a run without a variant that was measured to its end, where there is such a
    baseline already and ``overwrite`` is not set, where the run is damaged, and where the folder cannot be written.
    """
    path = baseline_path(name, folder)
    records = run.records()
    with told_as_damage(run.name):
        measured = any(row.status == "ok" for row in make_rows(records))
    if not measured:
        raise HarnessError(f"run '{run.name}' has no variant that was measured to its end: it is no baseline")
    if path.exists() and not overwrite:
        raise HarnessError(f"there is a baseline '{name}' already ({path}); --force replaces it")
    head = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "run": run.name,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "info": run.info,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, _as_text(head, records))
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def open_baseline(path: Path) -> Baseline:
    """Read a baseline. Raises HarnessError where there is none, or where it is damaged, empty or of a newer harness."""
    try:
        body = parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HarnessError(f"cannot read baseline {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise HarnessError(f"{path} is damaged: {error}") from error
    version = body.get("schema_version") if isinstance(body, dict) else None
    if not isinstance(version, int) or "records" not in body:
        raise HarnessError(f"{path} is no baseline; save one with: harness baseline save NAME")
    if version > SCHEMA_VERSION:
        raise HarnessError(f"{path}: schema version {version} is newer than {SCHEMA_VERSION}: use a newer harness")
    try:
        records = tuple(Record.from_json(json.dumps(each)) for each in body["records"])
        found = Baseline(str(body["name"]), str(body["run"]), str(body["saved"]), dict(body["info"]), records)
        measured = any(row.status == "ok" for row in make_rows(records))
    except DAMAGE as error:
        raise HarnessError(f"{path} is damaged: {error}") from error
    if not measured:
        raise HarnessError(f"{path} has no variant that was measured to its end: it is no baseline")
    return found


def baseline_path(name: str, folder: Path) -> Path:
    """Where a baseline of that name is kept. Raises HarnessError for a bad name."""
    if not _NAME.fullmatch(name) or name in _RESERVED:
        letters = "letters, digits, '.', '_' and '-', a letter or digit first"
        raise HarnessError(f"'{name}' is no name for a baseline: {letters}, and not 'latest'")
    return folder / f"{name}{SUFFIX}"


def baseline_files(folder: Path) -> list[Path]:
    """The files of all baselines in a folder, by name; damaged ones too."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if _NAME.fullmatch(path.stem))


def _as_text(head: dict[str, Any], records: Iterable[Record]) -> str:
    """JSON with a record a line, so that a new baseline is a readable change to the old one."""
    lines = ",\n".join(_stripped(record).to_json() for record in records)
    opening = json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    return f'{opening},\n "records": [\n{lines}\n]\n}}\n'


def _stripped(record: Record) -> Record:
    """A record without what no comparison needs; the sums a document stay where metrics are compared by them."""
    fact = record.fact
    if fact is not None:
        metric = METRICS[fact.metric]
        paired = metric.measure == "quality" and metric.higher_is_better is not None
        fact = replace(fact, text="", samples=fact.samples if paired else [])
    return replace(record, fact=fact, stderr_tail="")
