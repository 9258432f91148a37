"""What the terminal shows at the end of a run, from a run that stands in a real folder."""

from __future__ import annotations

import pytest
from builders import make_subject
from stored_runs import INFO, QUIET, a_variant, failed, times

from harness.cli.summary import print_summary
from harness.records.run_folder import RunFolder, create_run

USE_CASE = {
    "title": "Fast [bold]generation[/bold]",
    "families": ["causal"],
    "objective": "decode_tokens_per_second",
    "tie_breakers": [],
    "limits": [],
}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A slow and a fast variant, and one that failed."""
    slow, fast = (f"{name}/torch/fp32/cpu" for name in ("slow", "fast"))
    readings = {slow: QUIET, fast: times(QUIET, 2)}
    folder = create_run(tmp_path, "mine", "id", {**INFO, "suite": {**INFO["suite"], "use_case": [USE_CASE]}})
    for name, each in readings.items():
        speed = {"decode_tokens_per_second": each}
        folder.store.append(a_variant(name, {"weights_bytes": 2.0**20}, speed, about=make_subject(name)))
    folder.store.append(failed("broken/torch/fp32/cpu"))
    return folder


def test_variants_stand_in_a_table_with_units_in_its_headers(run, capsys):
    print_summary(run)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["variant", "weights", "(MiB)", "↓", "decode", "(tokens/s)", "↑", "status"]
    assert [line.split()[0] for line in lines[1:4]] == [f"{name}/torch/fp32/cpu" for name in ("slow", "fast", "broken")]


def test_the_recommendation_follows(run, capsys):
    print_summary(run)
    assert "fast/torch/fp32/cpu" in capsys.readouterr().out.splitlines()[4]


def test_what_is_piped_holds_no_colours_and_no_markup(run, capsys):
    print_summary(run)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "**" not in out
    assert "`" not in out


def test_titles_of_use_cases_are_no_markup(run, capsys):
    print_summary(run)
    assert "Fast [bold]generation[/bold]" in capsys.readouterr().out


def test_a_terminal_gets_colours(run, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_summary(run)
    assert "\x1b[1;32m" in capsys.readouterr().out
