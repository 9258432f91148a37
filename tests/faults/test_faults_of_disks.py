"""Disks that are full, folders that are read-only or vanish: one clear line each, and nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builders import make_record

from harness.candidates.artefacts import ArtefactStore
from harness.errors import HarnessError
from harness.records.run_folder import create_run, find_runs, write_whole
from harness.records.store import RecordStore


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 4096)
        except OSError:
            return ballast


def test_a_full_disk_loses_no_record_and_the_next_append_goes_on(small_disk: Path):
    store = RecordStore(small_disk / "records.jsonl")
    store.append([make_record(task="first")])
    ballast = fill(small_disk)
    with pytest.raises(HarnessError, match=r"cannot write .*records.jsonl: No space left on device"):
        store.append([make_record(task=f"task {number}", reason="x" * 3000) for number in range(9)])
    kept = store.read()
    assert kept[0] == make_record(task="first")
    ballast.unlink()
    store.append([make_record(task="last")])
    assert store.read() == [*kept, make_record(task="last")]


def test_an_artefact_that_does_not_fit_is_one_line_and_leaves_nothing(small_disk: Path):
    def build(folder: Path) -> None:
        (folder / "weights").write_bytes(b"x" * 1_000_000)

    with pytest.raises(HarnessError, match=r"no space left for artefacts in .*; --cache-dir takes another folder"):
        ArtefactStore(small_disk).get("kind", "name", {}, build)
    assert [path for path in (small_disk / "kind").iterdir() if path.suffix != ".lock"] == []


def test_a_run_on_a_full_disk_is_one_line_and_leaves_nothing(small_disk: Path):
    ballast = fill(small_disk)
    with pytest.raises(HarnessError, match=r"cannot write to .*: No space left on device; see --runs-dir"):
        create_run(small_disk, "cpu", "identity", {"suite": "x" * 8192})
    assert list(small_disk.iterdir()) == [ballast]


def test_a_report_on_a_full_disk_leaves_the_one_of_before(small_disk: Path):
    report = small_disk / "report.md"
    write_whole(report, "before")
    fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        write_whole(report, "after" * 2000)
    assert report.read_text() == "before"
    assert {path.name for path in small_disk.iterdir()} == {"report.md", "ballast"}


def test_a_read_only_folder_for_runs_is_one_line(read_only_folder: Path):
    with pytest.raises(HarnessError, match=r"cannot write to .*; see --runs-dir"):
        create_run(read_only_folder, "cpu", "identity", {})


def test_a_read_only_cache_is_one_line(read_only_folder: Path):
    with pytest.raises(HarnessError, match=r"cannot write artefacts to .*; --cache-dir takes another folder"):
        ArtefactStore(read_only_folder).get("kind", "name", {}, lambda folder: None)


def test_a_run_folder_that_vanished_is_one_line(tmp_path: Path):
    run = create_run(tmp_path, "cpu", "identity", {})
    shutil.rmtree(run.path)
    with pytest.raises(HarnessError, match=r"cannot write .*records.jsonl: No such file or directory"):
        run.store.append([make_record()])


def test_what_a_killed_program_left_beside_a_report_is_removed(tmp_path: Path):
    for dead in (4_194_304, 4_194_305):  # no system gives a process such a number
        (tmp_path / f".report.md.{dead}").write_text("half a rep")
    write_whole(tmp_path / "report.md", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_run_that_was_killed_as_it_was_made_is_none_and_is_removed(tmp_path: Path):
    left = tmp_path / ".cpu.0123abcd.4194304"
    left.mkdir()
    (left / "run.json").write_text("{")
    assert find_runs(tmp_path) == []
    run = create_run(tmp_path, "cpu", "identity", {})
    assert [path.name for path in tmp_path.iterdir()] == [run.name]
