"""Real files in and out of the system's cache."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from harness.errors import UnavailableError
from harness.speed import file_cache


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "inside").mkdir()
    for name, size in (("weights", 3_000_000), ("inside/more", 5000), ("empty", 0)):
        (tmp_path / name).write_bytes(os.urandom(size))
    return file_cache.files_of(tmp_path)


@pytest.fixture
def dropped(files: list[Path]) -> list[Path]:
    try:
        file_cache.drop(files)
    except UnavailableError as error:
        pytest.skip(str(error))
    return files


def test_a_folder_s_files_are_found_at_every_depth(files):
    assert [file.name for file in files] == ["empty", "more", "weights"]


def test_dropped_files_are_not_in_memory_and_read_the_same(dropped):
    assert file_cache.resident_share(dropped) <= file_cache.RESIDENT_SHARE
    assert len(dropped[-1].read_bytes()) == 3_000_000


def test_files_that_were_read_are_in_memory(dropped):
    file_cache.warm(dropped)
    assert file_cache.resident_share(dropped) == 1.0


def test_files_that_a_process_has_mapped_stay_and_this_is_said(dropped):
    with dropped[-1].open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[::4096]) > 0
        with pytest.raises(UnavailableError, match="stayed in the file cache"):
            file_cache.drop(dropped)


def test_a_system_that_cannot_drop_files_says_so(files, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    with pytest.raises(UnavailableError, match="cannot drop"):
        file_cache.drop(files)


def test_no_files_hold_no_memory():
    assert file_cache.resident_share([]) == 0.0
