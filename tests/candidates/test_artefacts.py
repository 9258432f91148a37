from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from harness.candidates.artefacts import ArtefactStore, open_artefact
from harness.errors import HarnessError


def _builder(calls: list[int], text: str = "weights"):
    def build(folder: Path) -> None:
        calls.append(1)
        (folder / "weights.bin").write_text(text)

    return build


def test_an_artefact_is_built_once(tmp_path: Path):
    calls: list[int] = []
    store = ArtefactStore(tmp_path)
    first = store.get("kind", "name", {"seed": 1}, _builder(calls))
    second = store.get("kind", "name", {"seed": 1}, _builder(calls))
    assert first == second
    assert len(calls) == 1


def test_another_description_is_another_artefact(tmp_path: Path):
    calls: list[int] = []
    store = ArtefactStore(tmp_path)
    first = store.get("kind", "name", {"seed": 1}, _builder(calls))
    second = store.get("kind", "name", {"seed": 2}, _builder(calls))
    assert first.path != second.path


@pytest.mark.parametrize("content", ["weight", "WEIGHTS"], ids=["cut short", "swapped"])
def test_a_damaged_artefact_is_built_again(tmp_path: Path, content: str):
    calls: list[int] = []
    store = ArtefactStore(tmp_path)
    made = store.get("kind", "name", {}, _builder(calls))
    (made.path / "weights.bin").write_text(content)
    again = store.get("kind", "name", {}, _builder(calls))
    assert (again.path / "weights.bin").read_text() == "weights"
    assert len(calls) == 2


def test_a_build_that_fails_leaves_nothing(tmp_path: Path):
    def build(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise HarnessError("no")

    store = ArtefactStore(tmp_path)
    with pytest.raises(HarnessError, match="no"):
        store.get("kind", "name", {}, build)
    assert open_artefact(store.place("kind", "name", {})) is None
    assert [path for path in (tmp_path / "kind").iterdir() if path.is_dir()] == []


def test_leftovers_of_a_killed_build_are_cleared(tmp_path: Path):
    store = ArtefactStore(tmp_path)
    place = store.place("kind", "name", {})
    leftover = place.parent / f".{place.name}-killed"
    leftover.mkdir(parents=True)
    store.get("kind", "name", {}, _builder([]))
    assert not leftover.exists()


def test_no_space_is_one_clear_line(tmp_path: Path):
    def build(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(HarnessError, match="no space left"):
        ArtefactStore(tmp_path).get("kind", "name", {}, build)


def test_a_cache_that_is_a_file_is_one_clear_line(tmp_path: Path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(HarnessError, match="--cache-dir"):
        ArtefactStore(tmp_path / "cache").get("kind", "name", {}, _builder([]))


def test_what_nobody_went_on_with_is_removed_after_a_month(tmp_path: Path):
    store = ArtefactStore(tmp_path)
    old, recent = (store.workplace("kind", name, {}) for name in ("old", "recent"))
    (old / "state").write_text("kept")
    for folder, days in ((old, 31), (recent, 29)):
        then = time.time() - days * 86_400
        os.utime(folder, (then, then))
    fresh = store.workplace("kind", "fresh", {})
    assert sorted(each.name for each in fresh.parent.iterdir()) == sorted([fresh.name, recent.name])
    assert store.workplace("kind", "recent", {}) == recent
