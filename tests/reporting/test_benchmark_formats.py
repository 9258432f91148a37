"""Runs for other benchmark tools: what is written, and that pytest-benchmark itself reads it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_row, scored, single, timed
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.records.run_folder import RunFolder, create_run
from harness.reporting.benchmark_formats import (
    github_benchmark_json,
    left_out,
    pytest_benchmark_json,
    seconds_statistics,
)

VARIANT = "gpt/torch/fp32/cpu"
RATES = [50.0, 40.0, 52.0, 53.0, 54.0, 55.0]
FIRST = [0.020, 0.021, 0.019, 0.022, 0.023, 0.024]
METRICS = {
    "decode_tokens_per_second": timed(RATES),
    "time_to_first_token_seconds": timed(FIRST),
    "load_seconds": single(0.5),
    "control_seconds": timed([0.01] * 6),
    "weights_bytes": single(1024.0),
    "cloze_accuracy": single(0.25),
    "perplexity": scored("perplexity", [230.0, 240.0]),
    "quantised_share": single(0.5),
}


@pytest.fixture
def rows():
    reason = "scoring: no kernel for a|b,\nin int8"
    return [make_row(VARIANT, METRICS), make_row("bert/torch/fp32/cpu", METRICS, status="failed", reason=reason)]


def benchmarks(run: RunFolder, rows) -> dict[str, dict]:
    return {each["name"]: each for each in json.loads(pytest_benchmark_json(run, rows))["benchmarks"]}


def github(run: RunFolder, rows, bigger: bool) -> dict[str, dict]:
    return {each["name"]: each for each in json.loads(github_benchmark_json(run, rows, bigger))}


def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "report", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def in_storage(run: RunFolder, folder: Path, count: int) -> Path:
    """A storage folder of pytest-benchmark with the run so many times, under the name of this machine."""
    pytest_benchmark = pytest.importorskip("pytest_benchmark.utils")
    place = folder / "storage" / pytest_benchmark.get_machine_id()
    place.mkdir(parents=True)
    for number in range(1, count + 1):
        finished = harness(str(run.path), "--format", "pytest-benchmark", "--out", f"{place}/000{number}_run.json")
        assert finished.returncode == 0, finished.stderr
    return place.parent


def test_each_timed_metric_of_a_good_variant_becomes_a_benchmark_in_seconds(run, rows):
    found = benchmarks(run, rows)
    assert list(found) == [
        f"decode_seconds_per_token[{VARIANT}]",
        f"time_to_first_token_seconds[{VARIANT}]",
        f"load_seconds[{VARIANT}]",
    ]
    first = found[f"time_to_first_token_seconds[{VARIANT}]"]
    assert first["stats"]["data"] == FIRST
    assert (first["group"], first["param"]) == ("time_to_first_token_seconds", VARIANT)
    assert first["params"] == {"candidate": "gpt", "engine": "torch", "precision": "fp32", "device": "cpu"}
    assert first["fullname"] == f"families::time_to_first_token_seconds[{VARIANT}]"


def test_tokens_a_second_become_seconds_per_token_and_are_told_as_measured(run, rows):
    decode = benchmarks(run, rows)[f"decode_seconds_per_token[{VARIANT}]"]
    assert decode["stats"]["data"] == [1 / each for each in RATES]
    assert decode["stats"]["median"] == pytest.approx((1 / 52 + 1 / 53) / 2)
    about = decode["extra_info"]
    assert (about["metric"], about["unit"], about["value"]) == ("decode_tokens_per_second", "tokens/s", 52.5)
    assert (about["low"], about["high"]) == (40.0, 55.0)
    assert "seconds per token" in about["seconds_are"]


def test_a_metric_that_was_timed_once_has_one_reading(run, rows):
    stats = benchmarks(run, rows)[f"load_seconds[{VARIANT}]"]["stats"]
    assert (stats["data"], stats["rounds"], stats["stddev"], stats["iterations"]) == ([0.5], 1, 0.0, 1)


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=25))
def test_statistics_are_those_of_pytest_benchmark(seconds):
    theirs = pytest.importorskip("pytest_benchmark.stats").Stats()
    for each in seconds:
        theirs.update(each)
    ours = seconds_statistics(seconds)
    assert set(ours) == {*theirs.fields, "data", "iterations"}
    counted = {
        "outliers",
        "iqr_outliers",
        "stddev_outliers",
        "ld15iqr",
        "hd15iqr",
    }  # rounding may move one over a fence
    for field in set(theirs.fields) - counted:
        assert ours[field] == pytest.approx(getattr(theirs, field), rel=1e-9, abs=1e-12), field


@pytest.mark.parametrize(
    "seconds",
    [[1.0], [2.0, 1.0], [3.0, 1.0, 2.0], [5, 1, 2, 3, 4], [1, 2, 3, 4, 40], [9, 1, 2, 3, 4, 5, 6.5], [0.1] * 7],
)
def test_outliers_are_those_of_pytest_benchmark(seconds):
    theirs = pytest.importorskip("pytest_benchmark.stats").Stats()
    for each in seconds:
        theirs.update(each)
    ours = seconds_statistics(seconds)
    for field in ("outliers", "iqr_outliers", "stddev_outliers", "ld15iqr", "hd15iqr"):
        assert ours[field] == getattr(theirs, field), field


def test_machine_and_commit_are_told_without_the_name_of_the_host(run, rows):
    body = json.loads(pytest_benchmark_json(run, rows))
    machine = body["machine_info"]
    assert (machine["system"], machine["release"], machine["machine"]) == ("Linux", "6.1", "x86_64")
    assert machine["cpu"] == {"brand_raw": "Example CPU <v2>", "count": 4}
    assert (machine["threads"], machine["versions"]) == (4, {"torch": "2.6.0"})
    assert "node" not in machine
    assert platform.node() not in json.dumps(body)
    assert (body["commit_info"]["id"], body["commit_info"]["dirty"]) == ("abc123", True)
    assert body["datetime"] == run.info["created"]


def test_a_run_that_knows_nothing_of_its_machine_can_be_written(tmp_path, rows):
    bare = create_run(tmp_path, "bare", "identity", {})
    assert json.loads(pytest_benchmark_json(bare, rows))["commit_info"]["id"] == "unknown"


def test_each_direction_of_github_action_benchmark_has_its_metrics(run, rows):
    assert list(github(run, rows, True)) == [f"{VARIANT} decode_tokens_per_second", f"{VARIANT} cloze_accuracy"]
    smaller = ("time_to_first_token_seconds", "load_seconds", "weights_bytes", "perplexity")
    assert list(github(run, rows, False)) == [f"{VARIANT} {metric}" for metric in smaller]


def test_github_entries_have_value_unit_and_interval(run, rows):
    entry = github(run, rows, True)[f"{VARIANT} decode_tokens_per_second"]
    assert (entry["value"], entry["unit"], entry["range"]) == (52.5, "tokens/s", "40 to 55")
    assert "n: 6" in entry["extra"]
    assert "greedy tokens" in entry["extra"]


def test_github_entries_without_an_interval_have_no_range(run, rows):
    assert set(github(run, rows, False)[f"{VARIANT} weights_bytes"]) == {"name", "unit", "value", "extra"}


def test_what_is_left_out_is_named_with_its_reason_on_one_line(rows):
    assert left_out(rows) == ["left out bert/torch/fp32/cpu: failed: scoring: no kernel for a|b, in int8"]


def test_a_run_without_a_whole_variant_is_an_error(run, rows):
    with pytest.raises(HarnessError, match="no timing of a whole variant"):
        pytest_benchmark_json(run, rows[1:])
    for bigger, word in ((True, "bigger"), (False, "smaller")):
        with pytest.raises(HarnessError, match=f"of which {word} is better"):
            github_benchmark_json(run, [], bigger)


@pytest.mark.parametrize("format", ["pytest-benchmark", "github-bigger", "github-smaller"])
def test_an_empty_run_exits_with_2_and_one_line(empty_run, format):
    finished = harness(str(empty_run.path), "--format", format)
    assert (finished.returncode, finished.stdout) == (2, "")
    (line,) = finished.stderr.splitlines()
    assert empty_run.name in line


@pytest.mark.parametrize("format", ["pytest-benchmark", "github-bigger", "github-smaller"])
def test_the_verb_writes_json_to_stdout_and_what_it_leaves_out_to_stderr(run, format):
    finished = harness(str(run.path), "--format", format)
    assert finished.returncode == 0
    assert json.loads(finished.stdout)
    (line,) = finished.stderr.splitlines()
    assert line == "harness: left out t5/onnxruntime/int8/cpu: failed: no kernel for a|b in <int8>"


def test_pytest_benchmark_compares_two_runs_by_file_and_by_number(run, tmp_path):
    storage = in_storage(run, tmp_path, 2)
    files = sorted(str(file) for file in storage.glob("*/*.json"))
    command = [sys.executable, "-m", "pytest_benchmark", "--storage", f"file://{storage}", "compare"]
    names = [f"{each['group']}[{each['param']}]" for each in json.loads(Path(files[0]).read_text())["benchmarks"]]
    assert len(names) == len(set(names)) >= 7
    for chosen in (files, [], ["0001", "0002"]):
        finished = subprocess.run([*command, *chosen], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        assert "Failed to load" not in finished.stderr
        for name in names:
            assert finished.stdout.count(name) == 2
    between = [*command, "--between", "median,ops", *files]
    finished = subprocess.run(between, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "+0.0%" in finished.stdout


OWN_BENCHMARK = """
def test_own(benchmark):
    benchmark.fullname = "families::decode_seconds_per_token[gpt/torch/fp32/cpu]"
    benchmark.pedantic(lambda: None, rounds=2)
"""


def test_pytest_compares_its_own_benchmarks_with_a_run(run, tmp_path):
    storage = in_storage(run, tmp_path, 1)
    (tmp_path / "test_own.py").write_text(OWN_BENCHMARK, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", "-c", "/dev/null"]
    command += [f"--benchmark-storage=file://{storage}", "--benchmark-compare=0001", "test_own.py"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    finished = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "Comparing against benchmarks from" in finished.stdout + finished.stderr
    assert "0001_run" in finished.stdout
