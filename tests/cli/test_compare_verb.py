from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from stored_runs import INFO, QUIET, a_variant, failed, times
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import EXIT_REGRESSED, EXIT_UNDECIDED, HarnessError
from harness.records.run_folder import create_run

DECODE, SIZE = "decode_tokens_per_second", "weights_bytes"
OTHER = "mini/onnxruntime/fp32/cpu"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the run ``base``, of 100 bytes of weights, and ``same``, ``bigger`` and ``gone`` to compare."""
    monkeypatch.chdir(tmp_path)
    sizes = {"base": 100.0, "same": 100.0, "bigger": 110.0}
    for number, (name, size) in enumerate(sizes.items()):
        add(name, a_variant(exact={SIZE: size}, rounds={DECODE: times(QUIET, 1 + number * 1e-6)}))
    add("gone", a_variant(OTHER, exact={SIZE: 100.0}) + failed(status="skipped"))
    return tmp_path


def add(name, records, **info):
    """A run whose folder has just that name."""
    run = create_run(Path("runs"), name, "identity-1", {**INFO, **info})
    run.store.append(records)
    return run.path.rename(run.path.parent / name)


def harness(*arguments):
    """Run the command line in this process; a HarnessError is raised."""
    found = CliRunner().invoke(app, list(arguments))
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


@pytest.mark.parametrize(
    ("new", "fail_on", "code", "verdict"),
    [
        ("same", [], 0, "Unchanged"),
        ("bigger", [], EXIT_REGRESSED, "Regressed"),
        ("bigger", ["--fail-on", "regressed"], EXIT_REGRESSED, "Regressed"),
        ("bigger", ["--fail-on", "undecided"], EXIT_REGRESSED, "Regressed"),
        ("bigger", ["--fail-on", "never"], 0, "Regressed"),
        ("same", ["--fail-on", "undecided"], 0, "Unchanged"),
    ],
)
def test_the_exit_code_is_that_of_the_verdict(place, new, fail_on, code, verdict):
    found = harness("compare", "base", new, *fail_on)
    assert found.exit_code == code
    assert found.stdout.startswith(f"**{verdict}**: ")


@pytest.mark.parametrize(("fail_on", "code"), [("regressed", 0), ("undecided", EXIT_UNDECIDED), ("never", 0)])
def test_an_undecided_verdict_fails_where_asked(place, fail_on, code):
    add("slower", a_variant(exact={SIZE: 100.0}, rounds={DECODE: times(QUIET, 0.96)}))
    assert harness("compare", "base", "slower", "--fail-on", fail_on).exit_code == code


def test_the_report_names_both_runs(place):
    text = harness("compare", "base", "bigger").stdout
    assert "Base is `base` of suite mine, made 2026-01-01T00:00:00+00:00 at commit abc123." in text
    assert "New is `bigger`" in text


def test_json_goes_to_stdout(place):
    found = harness("compare", "base", "bigger", "--format", "json")
    assert (found.exit_code, json.loads(found.stdout)["overall"]) == (EXIT_REGRESSED, "regressed")


def test_a_report_in_a_file_leaves_the_verdict_on_stderr(place):
    found = harness("compare", "base", "bigger", "--out", "report.md")
    assert (found.exit_code, found.stdout) == (EXIT_REGRESSED, "")
    assert found.stderr.startswith("Regressed: 1 of 2 metrics regressed")
    assert (place / "report.md").read_text().startswith("**Regressed**")


def test_a_threshold_can_be_given(place):
    assert harness("compare", "base", "bigger", "--threshold", f"{SIZE}=0.2").exit_code == 0


def test_the_thresholds_of_the_new_run_hold_unless_others_are_given(place):
    suite = {**INFO["suite"], "thresholds": {SIZE: 0.2}}
    add("tolerant", a_variant(exact={SIZE: 110.0}, rounds={DECODE: times(QUIET, 1.0001)}), suite=suite)
    assert harness("compare", "base", "tolerant").exit_code == 0
    assert harness("compare", "tolerant", "bigger").exit_code == 0
    assert harness("compare", "base", "tolerant", "--threshold", f"{SIZE}=0.11").exit_code == 0
    assert harness("compare", "base", "tolerant", "--threshold", f"{SIZE}=0.05").exit_code == EXIT_REGRESSED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["base", "nothing"], "no run 'nothing' in runs and no baseline in baselines; see: harness list runs"),
        (["base", "base"], "'base' and 'base' are the same measurements"),
        (["base", "gone"], "nothing to compare: 'base' and 'gone' have no metric of a variant in common"),
        (["base", "none.json"], "cannot read baseline none.json"),
        (["base", "baselines"], "no run 'baselines' in runs and no baseline"),
        (["base", "same", "--threshold", "load_seconds"], "expected METRIC=FRACTION"),
        (["base", "same", "--threshold", "load_seconds=much"], "expected METRIC=FRACTION"),
        (["base", "same", "--threshold", "load_seconds=-1"], "load_seconds: expected a fraction of 0 or more"),
        (["base", "same", "--threshold", "load_second=1"], "did you mean 'load_seconds'"),
    ],
)
def test_bad_input_is_an_error(place, arguments, message):
    (place / "baselines").mkdir()
    with pytest.raises(HarnessError) as error:
        harness("compare", *arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_run_is_an_error(place):
    add("empty", [])
    with pytest.raises(HarnessError, match="nothing to compare: 'empty' has no variant"):
        harness("compare", "base", "empty")


@pytest.mark.parametrize("thresholds", [{"nothing": 1}, [1], {SIZE: "much"}])
def test_damaged_thresholds_of_a_run_are_an_error(place, thresholds):
    add("odd", a_variant(exact={SIZE: 100.0}), suite={**INFO["suite"], "thresholds": thresholds})
    with pytest.raises(HarnessError, match="thresholds of 'odd': "):
        harness("compare", "base", "odd")


def test_a_baseline_is_compared_by_name_and_by_path(place):
    harness("baseline", "save", "main", "base")
    for base in ("main", "baselines/main.json", str(place / "baselines" / "main.json")):
        assert harness("compare", base, "same").exit_code == 0
        assert harness("compare", base, "bigger").exit_code == EXIT_REGRESSED
    assert harness("compare", "bigger", "main").exit_code == 0
    harness("baseline", "save", "other", "base", "--baselines-dir", "kept")
    assert harness("compare", "other", "runs/same", "--baselines-dir", "kept").exit_code == 0


def test_a_baseline_is_not_compared_with_the_run_that_it_was(place):
    harness("baseline", "save", "main", "base")
    with pytest.raises(HarnessError, match="'main' and 'base' are the same measurements"):
        harness("compare", "main", "base")


def test_a_name_that_is_a_run_and_a_baseline_is_refused(place):
    harness("baseline", "save", "base", "base")
    with pytest.raises(HarnessError, match=r"'base' is a run and a baseline; .*runs/base or baselines/base\.json"):
        harness("compare", "base", "same")
    assert harness("compare", "runs/base", "same").exit_code == 0
    assert harness("compare", "baselines/base.json", "same").exit_code == 0


def test_a_folder_that_is_no_run_does_not_hide_a_baseline(place):
    harness("baseline", "save", "main", "base")
    (place / "main").mkdir()
    assert harness("compare", "main", "same").exit_code == 0


def test_latest_is_a_run(place):
    add("slow", a_variant(exact={SIZE: 120.0}), created="2026-02-01T00:00:00+00:00")
    text = harness("compare", "base", "latest", "--fail-on", "never").stdout
    assert "New is `slow`" in text


@pytest.mark.parametrize("line", ["compare base same", "compare --help", "baseline list", "baseline save a base"])
def test_comparing_imports_no_engine(place, line):
    code = f"""
import sys
from harness.cli import main
sys.argv = ["harness", *{line.split()!r}]
try:
    main()
except SystemExit:
    heavy = ("torch", "transformers", "onnxruntime", "datasets", "pandas", "scipy", "numpy")
    print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stderr.splitlines()[-1] == "[]"


def test_errors_are_one_line_and_exit_code_2(place):
    command = [sys.executable, "-m", "harness", "compare", "base", "nothing"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout, len(finished.stderr.splitlines())) == (2, "", 1)
