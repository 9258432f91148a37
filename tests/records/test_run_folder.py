from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import make_record

from harness.errors import HarnessError
from harness.records.run_folder import create_run, find_run, find_runs, open_run, write_whole


def write_run(folder: Path, created: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"schema_version": 1, "created": created}))
    return folder


def test_a_run_is_named_after_its_suite_and_made_with_its_folder(tmp_path):
    run = create_run(tmp_path / "new" / "runs", "cpu", "identity-1", {"command": "harness run"})
    assert run.name.startswith("cpu-20")
    assert run.path.parent == tmp_path / "new" / "runs"
    assert run.info["identity"] == "identity-1"
    assert run.info["command"] == "harness run"


def test_a_run_that_is_opened_again_is_the_run_that_was_made(tmp_path):
    run = create_run(tmp_path, "cpu", "identity-1", {"corpus": {"note": "naïve"}})
    assert open_run(run.path) == run


def test_a_run_says_when_it_was_made_in_utc(tmp_path):
    before = datetime.now(UTC).replace(microsecond=0)
    created = datetime.fromisoformat(create_run(tmp_path, "cpu", "i", {}).info["created"])
    assert before <= created <= datetime.now(UTC)


def test_two_runs_of_the_same_second_have_folders_of_their_own(tmp_path):
    paths = {create_run(tmp_path, "cpu", "i", {}).path for _ in range(3)}
    assert len(paths) == 3


def test_a_run_gives_the_records_of_finished_tasks(tmp_path):
    run = create_run(tmp_path, "cpu", "i", {})
    assert run.records() == []
    run.store.append([make_record(task="a"), make_record(task="b", status="failed"), make_record(task="b")])
    assert run.records() == [make_record(task="a"), make_record(task="b")]


def test_runs_cannot_be_made_inside_a_file(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HarnessError, match=r"cannot write to .*file.*; see --runs-dir"):
        create_run(tmp_path / "file" / "runs", "cpu", "i", {})


def test_the_latest_run_is_the_one_made_last_whatever_its_name(tmp_path):
    write_run(tmp_path / "zebra", "2024-01-01T00:00:00+00:00")
    newest = write_run(tmp_path / "ant", "2024-01-03T00:00:00+00:00")
    write_run(tmp_path / "monkey", "2024-01-02T00:00:00+00:00")
    assert find_run("latest", tmp_path).path == newest
    assert [run.name for run in find_runs(tmp_path)] == ["zebra", "monkey", "ant"]


def test_a_run_is_found_by_name_and_by_path(tmp_path):
    folder = write_run(tmp_path / "runs" / "cpu-1", "2024-01-01T00:00:00+00:00")
    assert find_run("cpu-1", tmp_path / "runs").path == folder
    assert find_run(str(folder), tmp_path / "elsewhere").path == folder


def test_the_latest_of_no_runs_is_an_error_that_says_how_to_make_one(tmp_path):
    with pytest.raises(HarnessError, match=r"there is no run in .*harness run --suite cpu"):
        find_run("latest", tmp_path / "nowhere")


def test_an_unknown_run_is_an_error_that_says_where_to_look(tmp_path):
    with pytest.raises(HarnessError, match=r"no run 'cpu-7'.*harness list runs"):
        find_run("cpu-7", tmp_path)


def test_a_folder_without_a_run_is_an_error_that_names_it(tmp_path):
    with pytest.raises(HarnessError, match=rf"no run in {re.escape(str(tmp_path))}: No such file"):
        open_run(tmp_path)


@pytest.mark.parametrize("content", [b'{"schema_version": 1', b"", b"\xff\xfe"])
def test_a_damaged_run_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(HarnessError, match=r"run\.json is damaged: "):
        open_run(tmp_path)


@pytest.mark.parametrize("body", [{"schema_version": 2}, {}, [1]])
def test_a_run_of_another_schema_is_an_error_that_says_so(tmp_path, body):
    (tmp_path / "run.json").write_text(json.dumps(body))
    with pytest.raises(HarnessError, match=r"run\.json: expected schema version 1"):
        open_run(tmp_path)


def test_damaged_runs_are_passed_over_where_others_are_looked_for(tmp_path):
    good = write_run(tmp_path / "good", "2024-01-01T00:00:00+00:00")
    (write_run(tmp_path / "bad", "2024-01-02T00:00:00+00:00") / "run.json").write_text("{")
    assert find_run("latest", tmp_path).path == good


def test_a_file_is_written_whole_in_place_of_the_old_one(tmp_path):
    file = tmp_path / "report.md"
    file.write_text("old")
    write_whole(file, "naïve new text\n")
    assert file.read_bytes() == "naïve new text\n".encode()
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    file = tmp_path / "report.md"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "begins well, then " + "x" * 100_000 + "\ud800")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
