from __future__ import annotations

import json
from pathlib import Path

import pytest
from stored_runs import INFO, QUIET, a_variant, failed
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import HarnessError
from harness.records.run_folder import create_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The only run in a folder."""
    monkeypatch.chdir(tmp_path)
    run = create_run(Path("runs"), "mine", "identity-1", dict(INFO))
    run.store.append(
        [*a_variant(exact={"weights_bytes": 5.0}, rounds={"decode_tokens_per_second": QUIET}), *failed("b")]
    )
    return run


def harness(*arguments):
    found = CliRunner().invoke(app, ["baseline", *arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def test_the_latest_run_is_saved_unless_another_is_named(run):
    assert f"baselines/main.json, of run {run.name}" in harness("save", "main").stderr
    assert harness("save", "again", run.name).exit_code == 0
    assert {path.name for path in Path("baselines").iterdir()} == {"main.json", "again.json"}


def test_a_baseline_is_replaced_by_force_only(run):
    harness("save", "main")
    with pytest.raises(HarnessError, match="--force"):
        harness("save", "main")
    assert harness("save", "main", "--force").exit_code == 0


def test_what_there_is_none_of_is_an_error(run):
    with pytest.raises(HarnessError, match="no run 'nothing'"):
        harness("save", "main", "nothing")
    with pytest.raises(HarnessError, match=r"cannot read baseline .*main\.json"):
        harness("show", "main")
    with pytest.raises(HarnessError, match="no name for a baseline"):
        harness("show", "../main")


def test_baselines_are_listed(run):
    assert "no baselines in baselines" in harness("list").stderr
    assert json.loads(harness("list", "--json").stdout) == []
    harness("save", "main")
    (line,) = json.loads(harness("list", "--json").stdout)
    assert (line["baseline"], line["run"], line["suite"]) == ("main", run.name, "mine")
    assert run.name in harness("list").stdout


def test_a_damaged_baseline_is_named_and_passed_over(run):
    harness("save", "main")
    Path("baselines/bad.json").write_text("{")
    found = harness("list", "--json")
    assert [line["baseline"] for line in json.loads(found.stdout)] == ["main"]
    assert "bad.json is damaged" in found.stderr


@pytest.mark.parametrize("name", ["main", "baselines/main.json"])
def test_a_baseline_is_shown(run, name):
    harness("save", "main")
    text = harness("show", name).stdout
    assert text.startswith(f"Baseline `main` of run `{run.name}`, saved 20")
    assert "CPU: Example CPU, 2 cores" in text
    assert "| `mini/torch/fp32/cpu`" in text


def test_a_baseline_is_shown_to_machines(run):
    harness("save", "main")
    body = json.loads(harness("show", "main", "--json").stdout)
    assert (body["name"], body["run"], body["info"]["corpus"]) == ("main", run.name, INFO["corpus"])
    assert [row["status"] for row in body["rows"]] == ["ok", "failed"]
    assert body["rows"][0]["metrics"]["decode_tokens_per_second"]["n"] == 6
