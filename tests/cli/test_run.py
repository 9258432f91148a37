"""The main job as a user runs it: real training, real exports, real worker processes, on tiny models."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.records.metrics import METRICS as KNOWN
from harness.records.run_folder import RunFolder, find_runs

pytestmark = pytest.mark.slow

METRICS = {
    "continuation_bits_per_byte",
    "cloze_accuracy",
    "forced_choice_accuracy",
    "parameters",
    "weights_bytes",
    "prefill_tokens_per_second",
    "decode_tokens_per_second",
    "time_to_first_token_seconds",
    "inter_token_seconds_p50",
    "inter_token_seconds_p95",
    "peak_memory_bytes",
    "load_seconds",
}


@pytest.fixture(scope="module")
def first_run(harness) -> subprocess.CompletedProcess[str]:
    return harness("run", "--suite", "tiny.toml", "--json")


def _latest(workplace: Path) -> RunFolder:
    return find_runs(workplace / "runs")[-1]


def _closings(run: RunFolder) -> list[tuple[str, str]]:
    return [(record.task, record.status) for record in run.store.read() if record.fact is None]


def test_a_run_measures_every_variant(first_run):
    assert first_run.returncode == 0, first_run.stderr
    rows = {row["variant"]: row for row in json.loads(first_run.stdout)}
    assert set(rows) == {
        f"{candidate}/{variant}/cpu"
        for candidate in ("tiny-gpt2", "tiny-t5")
        for variant in ("torch/fp32", "onnxruntime/int8")
    }
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert set(rows["tiny-gpt2/onnxruntime/int8/cpu"]["metrics"]) >= METRICS | {"perplexity", "bits_per_byte"}
    assert set(rows["tiny-t5/torch/fp32/cpu"]["metrics"]) >= METRICS | {"span_perplexity"}
    assert "bits_per_byte" not in rows["tiny-t5/torch/fp32/cpu"]["metrics"]
    quality = {"quantised_share"} | {name for name, metric in KNOWN.items() if metric.measure == "quality"}
    assert all(m["value"] > 0 for row in rows.values() for n, m in row["metrics"].items() if n not in quality)
    assert 0.9 < rows["tiny-gpt2/onnxruntime/int8/cpu"]["metrics"]["perplexity_ratio"]["value"] < 1.1


def test_its_report_recommends_and_tells_how_to_repeat_it(first_run, workplace: Path):
    text = (_latest(workplace).path / "report.md").read_text(encoding="utf-8")
    assert "**Generation.** Use **`tiny-gpt2/" in text
    assert "python -m harness run --suite tiny.toml --json" in text
    assert "unigram baseline" in text


def test_report_renders_the_stored_run_again(first_run, harness, workplace: Path):
    run = _latest(workplace)
    written = (run.path / "report.md").read_text(encoding="utf-8")
    assert "](report-plots/" in written
    assert harness("report", run.name).stdout == re.sub(r"!\[.*\]\(report-plots/.*\)\n\n", "", written)
    assert harness("report", run.name, "--out", "again.md").returncode == 0
    again = workplace / "again.md"
    assert again.read_text(encoding="utf-8") == written.replace("](report-plots/", "](again-plots/")
    assert _names(workplace / "again-plots") == _names(run.path / "report-plots")
    assert json.loads(harness("report", "latest", "--format", "json").stdout) == json.loads(first_run.stdout)
    assert harness("report", "latest", "--format", "csv").stdout.startswith("variant,candidate,family")


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_the_same_command_again_repeats_nothing(first_run, harness, workplace: Path):
    before = _latest(workplace)
    closings = _closings(before)
    again = harness("run", "--suite", "tiny.toml", "--json")
    assert again.returncode == 0
    assert _latest(workplace).name == before.name
    assert _closings(before) == closings
    assert again.stdout == first_run.stdout


def test_fresh_measures_anew_with_the_same_checkpoints(first_run, harness, workplace: Path):
    before = _latest(workplace)
    assert harness("run", "--suite", "tiny.toml", "--fresh", "--only", "tiny-gpt2/torch").returncode == 0
    after = _latest(workplace)
    assert after.name != before.name
    hashes = [
        {r.subject.weights_hash for r in run.records() if r.subject.variant == "tiny-gpt2/torch/fp32/cpu"}
        for run in (before, after)
    ]
    assert hashes[0] == hashes[1]


def test_dry_run_plans_and_writes_nothing(harness, workplace: Path):
    runs = len(find_runs(workplace / "runs"))
    finished = harness("run", "--suite", "tiny.toml", "--fresh", "--dry-run")
    assert "time tiny-t5/onnxruntime/int8/cpu, round 2" in finished.stdout
    assert "tasks (" in finished.stdout.splitlines()[-1]
    assert len(find_runs(workplace / "runs")) == runs


@pytest.fixture
def started(workplace: Path, environment: dict[str, str]):
    """Start a fresh run, and wait until it has stored some tasks."""

    def start(*more: str) -> tuple[subprocess.Popen[str], RunFolder]:
        known = {run.name for run in find_runs(workplace / "runs")}
        command = [sys.executable, "-m", "harness", "run", "--suite", "tiny.toml", "--fresh", *more]
        process = subprocess.Popen(command, cwd=workplace, env=environment, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            new = [run for run in find_runs(workplace / "runs") if run.name not in known]
            if new and len(_closings(new[0])) >= 4:
                return process, new[0]
            time.sleep(0.02)
        process.kill()
        raise AssertionError("the run stored nothing within two minutes")

    return start


def _resumed(harness, run: RunFolder) -> None:
    """The same command without --fresh ends the run, and does no finished measurement twice."""
    assert harness("run", "--suite", "tiny.toml").returncode == 0
    records = run.store.read()
    measured = [
        r.task for r in records if r.fact is None and r.status == "ok" and r.kind in ("score", "memory", "time")
    ]
    assert len(measured) == len(set(measured)) == 4 + 4 + 8


def test_ctrl_c_of_a_terminal_while_libraries_are_imported_is_one_line(workplace: Path, environment: dict[str, str]):
    """A terminal's Ctrl-C goes to all processes of the group, the one that workers are forked from included."""
    command = [sys.executable, "-m", "harness", "run", "--suite", "tiny.toml", "--fresh"]
    with subprocess.Popen(
        command, cwd=workplace, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline() + process.stderr.readline()
        assert "[1/" in said
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "harness: interrupted"
    assert "Traceback" not in stderr


def test_a_killed_run_loses_nothing_and_leaves_no_orphans(first_run, started, harness):
    process, run = started()
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    stored = run.records()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert stored
    _resumed(harness, run)
    assert [r for r in stored if r not in run.records() and r.kind in ("score", "memory", "time")] == []


def test_ctrl_c_reports_what_there_is_and_exits_130(first_run, started, harness):
    process, run = started()
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command resumes" in stderr
    assert stderr.splitlines()[-1] == "harness: interrupted"
    assert "Traceback" not in stderr
    assert (run.path / "report.md").exists()
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert _closings(run)[-1][1] == "interrupted"
    _resumed(harness, run)


def test_two_runs_do_not_write_to_one_folder(first_run, started, harness):
    process, _ = started()
    try:
        second = harness("run", "--suite", "tiny.toml")
        assert second.returncode == 2
        assert "another run is writing to" in second.stderr
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_a_candidate_that_cannot_be_had_is_skipped_with_the_reason(first_run, harness, workplace: Path):
    suite = (workplace / "tiny.toml").read_text(encoding="utf-8").replace('"tiny-t5"]', '"tiny-t5", "elsewhere"]')
    suite += '\n[candidate.elsewhere]\norigin = "published"\nfamily = "causal"\nhub = "nobody/nothing-of-this-name"\n'
    (workplace / "with-hub.toml").write_text(suite, encoding="utf-8")
    only = ["--only", "tiny-gpt2/torch", "--only", "elsewhere/torch"]
    finished = harness("run", "--suite", "with-hub.toml", "--offline", *only, "--json")
    row = json.loads(finished.stdout)[1]
    assert finished.returncode == 0
    assert "not in the hub's cache: elsewhere; their variants are skipped" in finished.stderr
    assert (row["variant"], row["status"]) == ("elsewhere/torch/fp32/cpu", "skipped")
    assert "is not in the hub's cache (offline)" in row["reason"]


def test_a_local_folder_is_a_candidate_and_a_pickle_in_it_is_a_failed_row(first_run, harness, workplace: Path):
    folder = workplace / "published"
    folder.mkdir()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    suite = (workplace / "tiny.toml").read_text(encoding="utf-8").replace('"tiny-t5"]', '"tiny-t5", "mine"]')
    suite += f'\n[candidate.mine]\norigin = "published"\nfamily = "causal"\npath = "{folder}"\n'
    (workplace / "with-folder.toml").write_text(suite, encoding="utf-8")
    finished = harness("run", "--suite", "with-folder.toml", "--only", "mine/torch", "--json")
    row = json.loads(finished.stdout)[0]
    assert finished.returncode == 4
    assert "is a pickle, which is never loaded" in row["reason"]


def test_records_hold_no_name_of_user_or_host(first_run, workplace: Path):
    import getpass
    import socket

    run = _latest(workplace)
    text = (run.path / "run.json").read_text() + (run.path / "records.jsonl").read_text()
    assert socket.gethostname() not in text
    assert f'"{getpass.getuser()}"' not in text


def test_generate_continues_and_infills(first_run, harness):
    causal = harness("generate", "tiny-gpt2", "The people of", "--suite", "tiny.toml", "-n", "5")
    assert causal.stdout.startswith("The people of")
    filled = harness("generate", "tiny-t5", "The <mask> of the town", "--suite", "tiny.toml", "--engine", "onnxruntime")
    assert filled.returncode == 0
    assert filled.stdout.strip()
