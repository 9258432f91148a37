"""Nothing that a run leaves, in any format, holds a token, a password, a user's or a machine's name."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
FORMATS = ["md", "html", "json", "csv", "model-card", "pytest-benchmark", "github-bigger", "github-smaller"]


def private_in(text: str, private: dict[str, str]) -> list[str]:
    return [name for name, value in private.items() if value in text]


def test_the_run_met_what_is_private(hostile_run):
    """Otherwise the other tests here would say nothing: the errors were about paths with all of it in them."""
    reasons = {row["candidate"]: row["reason"] for row in hostile_run.rows}
    assert "<user>/<host>/<secret>/<secret>/closed" in reasons["closed"]
    assert "is not in the hub's cache" in reasons["gone"]
    assert "divisible" in reasons["broken"]
    assert "modeling_gpt2.py" in hostile_run.text("records.jsonl")


def test_no_file_of_the_run_holds_it(hostile_run):
    files = [path for path in hostile_run.path.rglob("*") if path.is_file()]
    assert {"run.json", "records.jsonl", "report.md"} <= {path.name for path in files}
    found = {path.name: private_in(path.read_text(encoding="utf-8"), hostile_run.private) for path in files}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize("format", FORMATS)
def test_no_report_holds_it(hostile_run, format):
    chosen = ["--candidate", "open"] if format == "model-card" else []
    done = hostile_run.harness("report", "latest", "--format", format, *chosen)
    assert done.returncode == 0, done.stderr
    assert private_in(done.stdout, hostile_run.private) == []


def test_no_baseline_holds_it(hostile_run, tmp_path: Path):
    done = hostile_run.harness("baseline", "save", "kept", "--baselines-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert private_in((tmp_path / "kept.json").read_text(encoding="utf-8"), hostile_run.private) == []


def test_the_command_that_is_stored_can_be_read_without_knowing_who_ran_it(hostile_run):
    command = json.loads(hostile_run.text("run.json"))["command"]
    assert command.startswith("python -m harness run --suite ")
    assert "<secret>" in command


def test_no_variable_of_the_environment_is_stored(hostile_run):
    """Values long enough to be nothing else, of all variables that the run had."""
    kept = hostile_run.text("run.json") + hostile_run.text("records.jsonl")
    values = {value for value in hostile_run.environment.values() if len(value) >= 12}
    stored = {value for value in values if value in kept}
    assert stored == set()


def test_the_name_of_this_machine_is_not_stored(hostile_run):
    name = socket.gethostname()
    if len(name) < 8:
        pytest.skip("this machine's name is too short to be told from a word")
    assert name not in hostile_run.text("run.json") + hostile_run.text("records.jsonl")
