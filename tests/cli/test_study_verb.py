"""``harness study`` on a folder of blocks that was measured before; measuring takes an hour and is not done here."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import HarnessError
from harness.records.blocks import AGAIN, BASE, Block, BlockStore
from harness.selection.error_rates import SAME, SLOWER


@pytest.fixture
def folder(tmp_path):
    """A study of six blocks."""
    about = {"schema_version": 1, "command": "harness study", "environment": {"cpu": "Example CPU"}}
    (tmp_path / "study.json").write_text(json.dumps(about))
    arms = {name: {"decode_tokens_per_second": 100.0} for name in (BASE, AGAIN, SAME, *SLOWER)}
    for number in range(6):
        BlockStore(tmp_path).append(Block("mini/torch/fp32/cpu", number, arms))
    return tmp_path


def study(*arguments):
    """Run the verb in this process; a HarnessError is raised."""
    found = CliRunner().invoke(app, ["study", *map(str, arguments)])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def test_an_earlier_study_is_reported_on_stdout(folder):
    found = study("--from", folder)
    assert found.exit_code == 0
    assert found.stdout.startswith("# Error rates of the verdicts\n")
    assert f"blocks: {folder}" in found.stderr


def test_the_report_can_go_to_a_file(folder):
    found = study("--from", folder, "--out", folder / "report.md")
    assert found.stdout == ""
    assert (folder / "report.md").read_text().startswith("# Error rates of the verdicts\n")


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_a_folder_without_a_study_is_refused(folder, text):
    (folder / "study.json").unlink()
    if text is not None:
        (folder / "study.json").write_text(text)
    with pytest.raises(HarnessError, match="holds no study"):
        study("--from", folder)


def test_a_study_that_is_no_table_is_refused(folder):
    (folder / "study.json").write_text("[]")
    with pytest.raises(HarnessError, match="holds no study"):
        study("--from", folder)
