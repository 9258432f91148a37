"""Files of runs that something else has changed: refused in one line that names the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import make_record, quality_fact

from harness.errors import HarnessError
from harness.records.blocks import BLOCKS_FILE, BlockStore
from harness.records.damage import told_as_damage
from harness.records.json_text import parse_json
from harness.records.record import Record
from harness.records.run_folder import find_runs, open_run


def changed(path: str, value: Any) -> str:
    body = json.loads(make_record(fact=quality_fact("perplexity", [1.0, 2.0])).to_json())
    *parents, last = path.split(".")
    place = body
    for parent in parents:
        place = place[parent]
    place[last] = value
    return json.dumps(body)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("task", ["a"], r"'task' must be a text, not \[\"a\"\]"),
        ("subject", "x", "'subject' must be an object"),
        ("subject.variant", None, "'subject.variant' must be a text, not null"),
        ("subject.colour", "red", "unknown key 'subject.colour'"),
        ("fact", [], "'fact' must be an object"),
        ("fact.value", "12", "'fact.value' must be a number"),
        ("fact.value", True, "'fact.value' must be a number, not true"),
        ("fact.low", 10**400, "'fact.low' is too large for a number"),
        ("fact.samples", {}, "'fact.samples' must be a list"),
        ("fact.protocol", [], "'fact.protocol' must be an object"),
        ("fact.metric", {}, "'fact.metric' must be a text"),
        ("status", "fine", "'fine' is no status"),
        ("round", 1.5, "'round' must be a whole number"),
        ("facts", "1", "'facts' must be a whole number"),
        ("corpus", {"name": 1}, "'corpus' must hold texts"),
        ("conditions", None, "'conditions' must be an object"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(path: str, value: Any, told: str):
    with pytest.raises(ValueError, match=told):
        Record.from_json(changed(path, value))


def test_a_number_that_no_float_can_be_is_refused():
    line = changed("fact.value", 1.0).replace('"value": 1.0', '"value": 1e999')
    with pytest.raises(ValueError, match=r"'fact\.value' is too large"):
        Record.from_json(line)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 10_000, "nested too deeply"),
        ("[NaN]", "NaN is not a number"),
        (r'["\ud800"]', r"\\ud800 is half a surrogate pair"),
        ("9" * 5000, "digits"),
    ],
)
def test_json_that_python_reads_and_nobody_can_use_is_refused(text: str, told: str):
    with pytest.raises(ValueError, match=told):
        parse_json(text)


def test_whole_surrogate_pairs_are_read():
    assert parse_json(r'["\ud83e\udd99"]') == ["🦙"]


def test_a_run_of_brackets_is_damaged(tmp_path: Path):
    (tmp_path / "run.json").write_text("[" * 100_000)
    with pytest.raises(HarnessError, match=r"run\.json is damaged: its brackets are nested too deeply"):
        open_run(tmp_path)


def test_runs_whose_date_is_no_text_are_listed(tmp_path: Path):
    for name, created in (("a", 5), ("b", "2026-01-01"), ("c", None)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({"schema_version": 1, "created": created}))
    assert {run.name for run in find_runs(tmp_path)} == {"a", "b", "c"}


@pytest.mark.parametrize(
    "changes", [{"arms": {"base": 5}}, {"arms": {"base": {"x": "1"}}}, {"number": "1"}, {"order": [1]}, {"seconds": []}]
)
def test_a_damaged_block_is_told_with_its_line(tmp_path: Path, changes: dict[str, Any]):
    sound = {"schema_version": 1, "variant": "a", "number": 1, "arms": {}, "control_seconds": [], "disturbed": [],
             "order": []}  # fmt: skip
    lines = [json.dumps(sound), json.dumps({**sound, **changes})]
    (tmp_path / BLOCKS_FILE).write_text("\n".join(lines) + "\n")
    with pytest.raises(HarnessError, match=r"blocks\.jsonl, line 2: "):
        BlockStore(tmp_path).read()


@pytest.mark.parametrize("error", [KeyError("nll"), TypeError("x"), ZeroDivisionError(), RecursionError("deep")])
def test_what_a_reader_stumbles_over_is_told_as_damage(error: Exception):
    with pytest.raises(HarnessError, match=f"run 'mine' is damaged, .*{type(error).__name__}"), told_as_damage("mine"):
        raise error


def test_a_reason_that_is_known_is_not_told_as_damage():
    with pytest.raises(HarnessError, match=r"^no use case$"), told_as_damage("mine"):
        raise HarnessError("no use case")
