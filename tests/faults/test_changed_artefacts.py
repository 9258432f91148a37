"""Artefacts that change while a run goes on, disappear, or are left by a kill."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from harness.candidates.artefacts import ArtefactStore, is_broken, open_artefact, seal_of


def build(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"weights" * 1000)
    (folder / "more").mkdir()
    (folder / "more" / "tokens.txt").write_text("a b c")


@pytest.fixture
def store(tmp_path: Path) -> ArtefactStore:
    return ArtefactStore(tmp_path)


@pytest.fixture
def made(store: ArtefactStore) -> Path:
    return store.get("kind", "name", {}, build).path


def cut_short(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(10)


def swap(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"WEIGHTS" * 1000)
    other.replace(file)


def write_over(file: Path) -> None:
    before = file.stat()
    file.write_bytes(b"WEIGHTS" * 1000)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def test_what_was_not_touched_keeps_its_seal(made: Path):
    assert not is_broken(made, seal_of(made))
    assert set(seal_of(made)) == {"artefact.json", "weights.bin", "more/tokens.txt"}


@pytest.mark.parametrize("change", [cut_short, swap, write_over, Path.unlink])
def test_a_change_of_any_kind_breaks_the_seal_and_is_made_good(store: ArtefactStore, made: Path, change):
    seal = seal_of(made)
    change(made / "weights.bin")
    assert is_broken(made, seal)
    assert open_artefact(made) is None
    again = store.get("kind", "name", {}, build)
    assert store.damaged == [made.name]
    assert open_artefact(again.path) == again
    assert not is_broken(made, seal_of(made))


def test_a_folder_that_is_gone_has_a_broken_seal(made: Path):
    seal = seal_of(made)
    made.rename(made.with_name("elsewhere"))
    assert is_broken(made, seal)


def test_files_that_an_engine_puts_beside_break_no_seal(made: Path):
    seal = seal_of(made)
    (made / "compiled.blob").write_text("cache")
    assert not is_broken(made, seal)


def test_what_killed_builds_of_other_artefacts_left_is_removed(store: ArtefactStore, made: Path):
    left = made.with_name(f".{store.place('kind', 'other', {}).name}-abcdefgh")
    left.mkdir()
    store.get("kind", "third", {}, build)
    assert not left.exists()


def test_what_another_run_is_building_right_now_stays(store: ArtefactStore, made: Path):
    other = store.place("kind", "other", {})
    building = made.with_name(f".{other.name}-abcdefgh")
    building.mkdir()
    with FileLock(other.with_name(other.name + ".lock")):
        store.get("kind", "third", {}, build)
        assert building.exists()


@pytest.mark.parametrize("jump_days", [-400, 400])
def test_a_clock_that_jumps_takes_no_work_from_a_run_that_goes_on(store: ArtefactStore, monkeypatch, jump_days: int):
    mine = store.workplace("checkpoints", "mine", {})
    (mine / "state").write_text("kept")
    now = time.time() + jump_days * 86_400
    monkeypatch.setattr(time, "time", lambda: now)
    place = store.place("checkpoints", "mine", {})
    place.parent.mkdir(exist_ok=True)
    with FileLock(place.with_name(place.name + ".lock")):
        store.workplace("checkpoints", "other", {})
    assert (mine / "state").read_text() == "kept"


def test_what_was_kept_to_go_on_with_goes_when_the_artefact_is_there(store: ArtefactStore):
    store.workplace("checkpoints", "mine", {})
    store.clear_workplace("checkpoints", "mine", {})
    assert list((store.folder / "unfinished").iterdir()) == []


BUILDER = """
import sys, time
from pathlib import Path
from harness.candidates.artefacts import ArtefactStore

def build(folder):
    time.sleep(0.5)
    (folder / "weights").write_text("weights")
    with Path({folder!r}, "builds").open("a") as stream:
        stream.write("built ")

made = ArtefactStore(Path({folder!r})).get("kind", "name", {{}}, build)
assert (made.path / "weights").read_text() == "weights"
"""


def test_runs_at_the_same_time_build_an_artefact_once(tmp_path: Path):
    command = [sys.executable, "-c", BUILDER.format(folder=str(tmp_path))]
    builders = [subprocess.Popen(command) for _ in range(3)]
    assert [builder.wait(timeout=60) for builder in builders] == [0, 0, 0]
    assert (tmp_path / "builds").read_text() == "built "
