from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from builders import make_subject, make_task
from stored_runs import INFO, QUIET, a_variant, failed, perplexity

from harness.errors import HarnessError
from harness.records.baselines import baseline_files, open_baseline, save_baseline
from harness.records.record import Fact
from harness.records.rows import make_rows
from harness.records.run_folder import create_run

RECORDS = [
    *make_task("candidate", make_subject("mini"), Fact("validation_loss", value=4.0, samples=[{"loss": 4.0}])),
    *a_variant(
        exact={"weights_bytes": 5.0},
        rounds={"decode_tokens_per_second": QUIET},
        quality=[perplexity(), Fact("text", text="peace and a good road")],
    ),
    *failed("mini/onnxruntime/fp32/cpu"),
]


@pytest.fixture
def stored(tmp_path):
    """A run folder with a variant that was measured and one that failed."""

    def store(records=RECORDS):
        run = create_run(tmp_path / "runs", "mine", "identity-1", dict(INFO))
        run.store.append(records)
        return run

    return store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "baselines"


def test_a_baseline_is_read_as_the_run_that_it_was(stored, folder):
    run = stored()
    path = save_baseline(run, "main", folder)
    found = open_baseline(path)
    assert path == folder / "main.json"
    assert (found.name, found.run, found.info) == ("main", run.name, run.info)
    rows, kept = make_rows(run.records()), make_rows(found.records())
    assert [row.metrics for row in kept] == [row.metrics for row in rows]
    assert [(row.variant, row.status, row.reason) for row in kept] == [
        (row.variant, row.status, row.reason) for row in rows
    ]


def test_a_baseline_holds_no_more_than_comparisons_need(stored, folder):
    run = stored([replace(record, stderr_tail="Traceback") for record in RECORDS])
    text = save_baseline(run, "main", folder).read_text()
    assert [word for word in ("Traceback", "a good road", '"loss": 4') if word in text] == []
    assert '"document": 7' in text


def test_a_baseline_has_a_record_a_line(stored, folder):
    path = save_baseline(stored(), "main", folder)
    lines = path.read_text().splitlines()
    assert sum(line.startswith('{"schema_version"') for line in lines) == len(RECORDS)
    assert path.read_text().endswith("\n")


def test_a_baseline_is_not_replaced_unless_asked_for(stored, folder):
    run = stored()
    save_baseline(run, "main", folder)
    with pytest.raises(HarnessError, match=r"there is a baseline 'main' already .*--force replaces it"):
        save_baseline(run, "main", folder)
    assert save_baseline(run, "main", folder, overwrite=True).exists()
    assert [path.name for path in folder.iterdir()] == ["main.json"]


@pytest.mark.parametrize("name", ["", "../main", "a/b", ".hidden", "-x", "na me", "é", "latest"])
def test_a_name_is_plain(stored, folder, name):
    with pytest.raises(HarnessError, match="is no name for a baseline"):
        save_baseline(stored(), name, folder)
    assert not folder.exists()


@pytest.mark.parametrize("records", [[], failed()])
def test_a_run_in_which_nothing_was_measured_is_no_baseline(stored, folder, records):
    with pytest.raises(HarnessError, match=r"run 'mine-.*' has no variant that was measured to its end"):
        save_baseline(stored(records), "main", folder)


def test_a_folder_that_cannot_be_made_is_an_error(stored, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HarnessError, match=r"cannot write .*main\.json"):
        save_baseline(stored(), "main", tmp_path / "file" / "baselines")


def test_a_baseline_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(HarnessError, match=r"cannot read baseline .*none\.json: No such file"):
        open_baseline(tmp_path / "none.json")


@pytest.mark.parametrize("content", [b"", b'{"schema_version": 1', b"\xff\xfe"])
def test_a_file_that_is_no_json_is_damaged(tmp_path, content):
    (tmp_path / "main.json").write_bytes(content)
    with pytest.raises(HarnessError, match=r"main\.json is damaged: "):
        open_baseline(tmp_path / "main.json")


@pytest.mark.parametrize("body", [[], 3, {}, {"schema_version": 1}, {"schema_version": "1", "records": []}])
def test_other_json_is_no_baseline(tmp_path, body):
    (tmp_path / "main.json").write_text(json.dumps(body))
    with pytest.raises(HarnessError, match=r"main\.json is no baseline"):
        open_baseline(tmp_path / "main.json")


def changed(path, **keys):
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))
    return path


def test_a_baseline_of_a_newer_harness_is_refused(stored, folder):
    path = changed(save_baseline(stored(), "main", folder), schema_version=2)
    with pytest.raises(HarnessError, match="schema version 2 is newer than 1: use a newer harness"):
        open_baseline(path)


def test_a_record_of_a_newer_harness_is_refused(stored, folder):
    path = save_baseline(stored(), "main", folder)
    record = json.loads(path.read_text())["records"][0]
    with pytest.raises(HarnessError, match="schema version 9 is newer"):
        open_baseline(changed(path, records=[{**record, "schema_version": 9}]))


@pytest.mark.parametrize("keys", [{"records": 3}, {"records": [3]}, {"records": [{}]}, {"info": 3}, {"info": None}])
def test_a_baseline_with_something_else_in_it_is_damaged(stored, folder, keys):
    path = changed(save_baseline(stored(), "main", folder), **keys)
    with pytest.raises(HarnessError, match=rf"{re.escape(str(path))} is damaged: ") as error:
        open_baseline(path)
    assert "\n" not in str(error.value)


def test_a_baseline_without_a_measured_variant_is_refused(stored, folder):
    path = save_baseline(stored(), "main", folder)
    with pytest.raises(HarnessError, match="no variant that was measured"):
        open_baseline(changed(path, records=[]))


def test_the_files_of_a_folder_are_listed_by_name(stored, folder):
    assert baseline_files(folder) == []
    for name in ("v2", "main", "v1.0"):
        save_baseline(stored(), name, folder)
    (folder / "notes.txt").write_text("x")
    (folder / ".main.json").write_text("x")
    assert [path.stem for path in baseline_files(folder)] == ["main", "v1.0", "v2"]
