"""Suites of published models as a user runs them where there is no network, with and without local folders."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.candidates.catalogue import resolve
from harness.records.environment import gpu_names
from harness.records.run_folder import find_runs
from harness.suites.loader import load_suite

NAMES = load_suite("pretrained").suite.candidates


@pytest.fixture
def alone(workplace: Path, environment: dict[str, str], tmp_path: Path):
    """Run the command line with an empty cache of the hub, and a hub that nobody answers for."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        lonely = {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": "http://127.0.0.1:9"}
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            cwd=workplace, env=environment | lonely, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def stand_ins(tiny_checkpoints) -> list[str]:
    """``--local NAME=FOLDER`` for all models of the suite, each a tiny one of its family."""
    folders = {name: tiny_checkpoints[resolve(name, {}).family].path for name in NAMES}
    return [word for name, folder in folders.items() for word in ("--local", f"{name}={folder}")]


@pytest.mark.parametrize("offline", [["--offline"], []])
def test_all_that_is_missing_is_listed_at_once_with_what_to_do(alone, offline: list[str]):
    start = time.monotonic()
    finished = alone("run", "--suite", "pretrained", *offline)
    assert time.monotonic() - start < 60
    assert finished.returncode == 2
    lines = finished.stderr.splitlines()
    why = "offline" if offline else "the hub does not answer"
    assert lines[0] == f"harness: nothing of this suite can run here ({why}); missing are:"
    assert "--corpus wikitext-2:FOLDER" in lines[1]
    assert [line.strip().rpartition(": ")[2] for line in lines[2:-1]] == [f"--local {name}=FOLDER" for name in NAMES]
    assert "hf download" in lines[-1]
    assert finished.stdout == ""


def test_only_what_was_asked_for_is_missing(alone):
    finished = alone("run", "--suite", "pretrained", "--offline", "--corpus", "sotu", "--only", "gpt2", "--dry-run")
    assert finished.returncode == 2
    assert [line.split()[0] for line in finished.stderr.splitlines()] == ["harness:", "gpt2", "The"]


def test_where_some_can_run_the_others_are_named_and_the_plan_is_made(alone, stand_ins: list[str], workplace: Path):
    finished = alone(
        "run",
        "--suite",
        "pretrained",
        "--offline",
        "--corpus",
        f"text:{workplace / 'text'}",
        "--dry-run",
        *stand_ins[:2],
    )
    assert finished.returncode == 0
    assert finished.stderr.startswith(f"without a network and not in the hub's cache: {', '.join(NAMES[1:])}; ")


@pytest.mark.slow
def test_local_folders_stand_in_for_the_hub(alone, stand_ins: list[str], workplace: Path):
    settings = ["evaluation.block_size=32", "evaluation.stride=16",
                "items.continuations=4", "items.clozes=4", "items.choices=4", "items.context_words=8",
                "items.continuation_words=3", "items.right_words=4", "timing.prompt_tokens=16", "timing.new_tokens=4",
                "timing.readings=1", "timing.warmup_seconds=0.05", "generation.new_tokens=4"]  # fmt: skip
    finished = alone(
        "run", "--suite", "pretrained", "--corpus", f"text:{workplace / 'text'}", "--rounds", "1",
        "--only", "*/torch/fp32/*", "--json", *stand_ins, *(word for each in settings for word in ("--set", each)),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    rows = json.loads(finished.stdout)
    assert [row["variant"] for row in rows] == [f"{name}/torch/fp32/cpu" for name in NAMES]
    assert {(row["origin"], row["status"]) for row in rows} == {("published", "ok")}
    report = (find_runs(workplace / "runs")[-1].path / "report.md").read_text(encoding="utf-8")
    assert "Published models on WikiText-2" in report


@pytest.mark.parametrize(
    ("local", "problem"),
    [
        ("gpt2", "--local gpt2: expected NAME=FOLDER"),
        ("gpt2=", "--local gpt2=: expected NAME=FOLDER"),
        ("gtp2=.", "'gtp2' is not among the candidates (did you mean 'gpt2'?)"),
        ("gpt2=nowhere", "candidate 'gpt2': no checkpoint folder nowhere"),
    ],
)
def test_a_local_folder_that_cannot_be_meant_is_refused_in_one_line(alone, local: str, problem: str):
    finished = alone("run", "--suite", "pretrained", "--offline", "--local", local)
    assert (finished.returncode, len(finished.stderr.splitlines())) == (2, 1)
    assert problem in finished.stderr


def test_generate_takes_a_local_folder(alone, tiny_checkpoints):
    folder = tiny_checkpoints["masked"].path
    finished = alone(
        "generate", "bert-base-uncased", "The <mask> of the town", "--local", f"bert-base-uncased={folder}"
    )
    assert finished.returncode == 0, finished.stderr
    assert "of the town" in finished.stdout


def test_generate_says_what_is_missing(alone):
    finished = alone("generate", "gpt2", "The river")
    assert finished.returncode == 2
    assert "openai-community/gpt2 is not in the hub's cache (offline); a local folder" in finished.stderr


@pytest.mark.skipif(bool(gpu_names()), reason="there is a GPU")
def test_the_gpu_suite_says_that_there_is_no_gpu(alone):
    finished = alone("run", "--suite", "gpu")
    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
    assert "no NVIDIA GPU with a driver was found on this machine" in finished.stderr
