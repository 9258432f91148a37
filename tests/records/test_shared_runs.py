"""Runs in a storage: who goes on with what, and what damage and losses cost."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from builders import make_record

from harness.errors import HarnessError
from harness.records.objects import Objects, UnusableError
from harness.records.record import Fact, Record
from harness.records.run_folder import RunFolder, create_run, find_runs, open_run, with_machines
from harness.records.shared_runs import SharedRun, take_up

IDENTITY = "f" * 64


def attempt(task: str, seconds: float, reason: str = "a\u2028b") -> list[Record]:
    """A fact and its closing record."""
    fact = make_record(task=task, fact=Fact(metric="parameters", value=seconds))
    return [fact, make_record(task=task, fact=None, facts=1, duration_seconds=seconds, reason=reason)]


@pytest.fixture(params=["folder", "memory://", "dir::file://"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "memory://":
        return Objects.at(f"memory://{tmp_path.name}")
    return Objects.at(f"{'' if request.param == 'folder' else request.param}{tmp_path}/shared")


@pytest.fixture
def mine(tmp_path: Path) -> RunFolder:
    return create_run(tmp_path / "mine", "suite", IDENTITY, {"suite": {}, "corpus": {}, "environment": {}})


def record(objects: Objects, run: RunFolder, *attempts: list[Record]) -> None:
    """Do what a run does."""
    shared = SharedRun(objects, run)
    shared.catch_up(run)
    with shared:
        for each in attempts:
            run.store.append(each)
            shared.add(each)


def elsewhere(objects: Objects, tmp_path: Path) -> RunFolder:
    """The run as another machine takes it up."""
    found = take_up(objects, IDENTITY, tmp_path / "theirs", None)
    assert found is not None
    return SharedRun(objects, found).catch_up(found)


def test_another_machine_takes_up_the_run_with_the_same_file_of_records(
    objects: Objects, mine: RunFolder, tmp_path: Path
):
    record(objects, mine, *(attempt(f"task{n}", n) for n in range(30)))
    theirs = elsewhere(objects, tmp_path)
    assert theirs.store.path.read_bytes() == mine.store.path.read_bytes()
    assert (theirs.name, theirs.info) == (mine.name, mine.info)


def test_what_two_machines_recorded_ends_in_one_store_once(objects: Objects, mine: RunFolder, tmp_path: Path):
    record(objects, mine, attempt("both", 1))
    theirs = elsewhere(objects, tmp_path)
    record(objects, theirs, attempt("theirs", 2))
    record(objects, mine, attempt("mine", 3))
    record(objects, theirs)
    for run in (mine, theirs):
        closed = [each for each in run.store.read() if each.fact is None]
        assert sorted(each.task for each in closed) == ["both", "mine", "theirs"]
    assert len(objects.names(f"runs/{IDENTITY}/{mine.name}")) == 4
    record(objects, mine)
    record(objects, theirs)
    assert len(objects.names(f"runs/{IDENTITY}/{mine.name}")) == 4


def test_the_last_attempt_of_a_task_is_the_last_elsewhere_too(objects: Objects, mine: RunFolder, tmp_path: Path):
    record(objects, mine, *(attempt("task", 1.0 + n) for n in range(12)))
    (closing,) = elsewhere(objects, tmp_path).closings()
    assert closing.duration_seconds == 12.0


def test_what_was_recorded_without_the_storage_is_sent_at_the_next_start(
    objects: Objects, mine: RunFolder, tmp_path: Path
):
    mine.store.append(attempt("task", 1))
    record(objects, mine)
    assert elsewhere(objects, tmp_path).store.path.read_bytes() == mine.store.path.read_bytes()


def test_a_kill_between_lines_makes_no_attempt_the_last_that_was_not(objects: Objects, mine: RunFolder, tmp_path: Path):
    record(objects, mine, attempt("other", 1))
    mine.store.append(attempt("task", 0)[:1])
    record(objects, mine, attempt("task", 1), attempt("task", 2))
    record(objects, mine)
    for run in (mine, elsewhere(objects, tmp_path)):
        closed = [(each.task, each.duration_seconds) for each in run.store.read() if each.fact is None]
        assert closed == [("other", 1), ("task", 1), ("task", 2)]


def test_machines_that_two_drivers_saw_are_listed_by_both(objects: Objects, mine: RunFolder, tmp_path: Path):
    record(objects, mine, attempt("task", 1))
    theirs = elsewhere(objects, tmp_path)
    few, many = {"hash": "1", "kind": "", "nodes": 1}, {"hash": "1", "kind": "", "nodes": 3}
    other = {"hash": "2", "kind": "", "nodes": 1}
    SharedRun(objects, theirs).describe(with_machines(theirs, [many, other]))
    found = SharedRun(objects, mine).catch_up(with_machines(mine, [few]))
    assert found.info["machines"] == open_run(mine.path).info["machines"] == [many, other]
    assert elsewhere(objects, tmp_path / "third").info == found.info


def test_a_storage_that_hangs_is_given_up(objects: Objects, mine: RunFolder, monkeypatch, capsys):
    monkeypatch.setattr("harness.records.shared_runs._PATIENCE_SECONDS", 0.1)
    shared = SharedRun(objects, mine)
    shared.catch_up(mine)
    hung = threading.Event()
    with monkeypatch.context() as patched, shared:
        patched.setattr(objects, "write", lambda content, name: hung.wait(60))
        for number in range(100):
            shared.add(attempt(f"task{number}", 1))
    told = capsys.readouterr().err
    hung.set()
    assert re.fullmatch(r"the storage \S+ does not answer; records stay on this machine\n", told)


def test_of_two_runs_the_one_that_was_begun_last_goes_on(objects: Objects, mine: RunFolder, tmp_path: Path):
    record(objects, mine, attempt("task", 1))
    later = RunFolder(mine.path, {**mine.info, "created": "2999-01-01T00:00:00+00:00"})
    assert take_up(objects, IDENTITY, tmp_path / "theirs", later) is later
    assert take_up(objects, "0" * 64, tmp_path / "theirs", None) is None
    earlier = RunFolder(tmp_path / "theirs" / "old", {**mine.info, "created": "1999-01-01T00:00:00+00:00"})
    found = take_up(objects, IDENTITY, tmp_path / "theirs", earlier)
    assert found is not None
    assert found.name == mine.name


def test_a_file_beside_the_runs_is_passed_over(objects: Objects, mine: RunFolder, tmp_path: Path):
    record(objects, mine, attempt("task", 1))
    objects.write(b"", f"runs/{IDENTITY}/Thumbs.db")
    assert elsewhere(objects, tmp_path).name == mine.name


def test_a_name_that_another_run_has_here_is_refused(objects: Objects, mine: RunFolder, tmp_path: Path):
    record(objects, mine, attempt("task", 1))
    other = tmp_path / "theirs" / mine.name
    other.mkdir(parents=True)
    (other / "run.json").write_text("{}")
    with pytest.raises(HarnessError, match=f"another run has the name {mine.name} in "):
        take_up(objects, IDENTITY, tmp_path / "theirs", None)
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == [mine.name]


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"\xff\n", None], ids=["empty", "no record", "no text", "torn"])
def test_a_damaged_attempt_is_left_out_and_told(
    objects: Objects, mine: RunFolder, tmp_path: Path, capsys, damage: bytes | None
):
    record(objects, mine, attempt("first", 1), attempt("second", 2))
    place = f"runs/{IDENTITY}/{mine.name}"
    name = objects.names(place)[0]
    objects.write((objects.read(f"{place}/{name}") or b"")[:-9] if damage is None else damage, f"{place}/{name}")
    theirs = elsewhere(objects, tmp_path)
    assert [each.task for each in theirs.closings()] == ["second"]
    assert capsys.readouterr().err == f"attempt {name} of the run is damaged in the storage: not used\n"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"identity": "other", "created": "2030", "schema_version": 1}',
             '{"identity": "' + IDENTITY + '", "schema_version": 1}',
             '{"identity": "' + IDENTITY + '", "schema_version": 1, "created": "2030", "suite": {}, "corpus": {}, '
             '"environment": {}, "machines": [1]}'],
)  # fmt: skip
def test_a_run_file_that_is_none_begins_a_run_anew(objects: Objects, tmp_path: Path, text: str):
    objects.write(text.encode(), f"runs/{IDENTITY}/suite-1/run.json")
    assert take_up(objects, IDENTITY, tmp_path / "theirs", None) is None
    assert find_runs(tmp_path / "theirs") == []


def test_a_storage_that_is_lost_is_told_once_and_made_up_for(
    objects: Objects, mine: RunFolder, tmp_path: Path, monkeypatch, capsys
):
    shared = SharedRun(objects, mine)
    shared.catch_up(mine)

    def refuse(content: bytes, name: str) -> None:
        raise UnusableError("cannot use the storage: gone")

    with monkeypatch.context() as patched, shared:
        patched.setattr(objects, "write", refuse)
        for number in range(200):
            lines = attempt(f"task{number}", 1)
            mine.store.append(lines)
            shared.add(lines)
    assert capsys.readouterr().err == "cannot use the storage: gone; records stay on this machine\n"
    record(objects, mine)
    assert elsewhere(objects, tmp_path).store.path.read_bytes() == mine.store.path.read_bytes()


def test_nobody_catches_up_while_another_process_writes(objects: Objects, mine: RunFolder):
    with mine.locked(), pytest.raises(HarnessError, match="another run is writing to"):
        SharedRun(objects, mine).catch_up(mine)
