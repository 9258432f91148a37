"""``harness ab`` as a user runs it, on git repositories made for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from builders import git, git_repository

from harness.candidates.checkpoint import Checkpoint
from harness.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_REGRESSED
from harness.records.blocks import AGAIN, BASE, NEW, BlockStore
from harness.records.run_folder import open_run

SUITE = """
title = "A checkpoint of the repository"
corpus = "text:{corpus}"
candidates = ["mine"]
variants = ["torch/fp32"]
rounds = 1
threads = 1

[evaluation]
block_size = 32

[items]
continuations = 4
clozes = 4
choices = 4
context_words = 8
continuation_words = 3
right_words = 4

[timing]
prompt_tokens = 16
new_tokens = 8
readings = 1
reading_seconds = 0.01
warmup_seconds = 0.05
budget_seconds = 0.2

[generation]
new_tokens = 4

[candidate.mine]
origin = "published"
family = "causal"
path = "checkpoint"
"""


def run_ab(folder: Path, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run ``harness ab`` in a folder; its runs and cache lie below it."""
    command = [sys.executable, "-m", "harness", "ab", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment_of(folder), capture_output=True, text=True, timeout=timeout, check=False
    )


def environment_of(folder: Path) -> dict[str, str]:
    return {**os.environ, "HARNESS_CACHE": str(folder / "cache"), "COLUMNS": "200", "HF_HUB_OFFLINE": "1"}


def processes_of(folder: Path, seconds: float = 5.0) -> list[str]:
    """Processes that still run after some seconds and whose environment names a folder's cache."""
    mine = f"HARNESS_CACHE={folder / 'cache'}"
    until = time.monotonic() + seconds
    while found := [process.name() for process in psutil.process_iter() if mine in _environment(process)]:
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    return found


def _environment(process: psutil.Process) -> str:
    try:
        return Path(f"/proc/{process.pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


# what is refused


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git repository with one commit."""
    git_repository(tmp_path / "project", {"README": "hello\n"})
    return tmp_path / "project"


def refused(tmp_path: Path, *arguments: str) -> str:
    """The one line that a command prints when it refuses bad input."""
    found = run_ab(tmp_path, *arguments)
    assert (found.returncode, found.stdout) == (EXIT_BAD_INPUT, "")
    (line,) = found.stderr.splitlines()
    assert not (tmp_path / "runs").exists()
    return line


def test_an_unknown_revision_is_refused(tmp_path: Path, project: Path):
    line = refused(tmp_path, "no-such-branch", "--project", str(project))
    assert line == f"harness: 'no-such-branch' is no revision of the project in {project}"


def test_a_folder_outside_of_git_is_refused(tmp_path: Path):
    assert "not a git repository" in refused(tmp_path, "HEAD", "--project", str(tmp_path))


def test_an_unknown_suite_is_refused(tmp_path: Path, project: Path):
    line = refused(tmp_path, "HEAD", "--project", str(project), "--suite", "smokee")
    assert line.startswith("harness: no suite 'smokee' (did you mean 'smoke'?)")


def test_a_setup_that_fails_is_refused(tmp_path: Path, project: Path):
    line = refused(
        tmp_path, "HEAD", "--project", str(project), "--setup", "python -c \"import sys; sys.exit('no compiler')\""
    )
    assert line.startswith("harness: --setup failed at ")
    assert line.endswith(": no compiler")
    assert len(git(project, "worktree", "list").splitlines()) == 1


def test_a_threshold_that_is_no_fraction_is_refused(tmp_path: Path, project: Path):
    line = refused(tmp_path, "HEAD", "--project", str(project), "--threshold", "load_seconds=much")
    assert line.startswith("harness: --threshold load_seconds=much: expected METRIC=FRACTION")


# two revisions, from end to end


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, workplace: Path, tiny_checkpoints: dict[str, Checkpoint]) -> Path:
    """A folder with a suite, and a repository whose second revision has a checkpoint of twice as many layers."""
    from transformers import GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("ab")
    (folder / "mine.toml").write_text(SUITE.format(corpus=workplace / "text"), encoding="utf-8")
    repository, whole = folder / "project", tiny_checkpoints["causal"].path
    git_repository(repository, {"README": "hello\n"})
    shutil.copytree(whole, repository / "checkpoint")
    model = GPT2LMHeadModel.from_pretrained(whole)
    model.transformer.h = model.transformer.h[:1]
    model.config.n_layer = 1
    model.save_pretrained(repository / "checkpoint")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "one layer")
    shutil.copytree(whole, repository / "checkpoint", dirs_exist_ok=True)
    git(repository, "commit", "--quiet", "--all", "--message", "two layers")
    return folder


@pytest.fixture(scope="module")
def compared(place: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What comparing the second revision with the first printed, and the folder that it left."""
    found = run_ab(place, "HEAD~1", "--suite", "mine.toml", "--project", "project", "--minutes", "0.1")
    (folder,) = (place / "runs").glob("ab-mine-*")
    return found, folder


@pytest.mark.slow
def test_a_checkpoint_with_more_layers_is_a_regression(compared, place: Path):
    found, _ = compared
    assert found.returncode == EXIT_REGRESSED, found.stderr
    assert found.stdout.startswith("**Regressed**: ")
    regressions = found.stdout.partition("## Regressions")[2].partition("##")[0]
    assert "| weights " in regressions
    revisions = [git(place / "project", "rev-parse", "--short=12", name) for name in ("HEAD~1", "HEAD")]
    assert "Base is {}, new is {}.".format(*revisions) in found.stdout


@pytest.mark.slow
def test_all_that_was_measured_is_in_one_folder(compared, place: Path):
    _, folder = compared
    about = json.loads((folder / "ab.json").read_text())
    assert about["revisions"]["base"] == git(place / "project", "rev-parse", "--short=12", "HEAD~1")
    assert about["command"].endswith("harness ab 'HEAD~1' --suite mine.toml --project project --minutes 0.1")
    blocks = BlockStore(folder).read()
    assert all(set(block.arms) == {BASE, AGAIN, NEW} for block in blocks)
    assert {block.variant for block in blocks} == {"mine/torch/fp32/cpu"}
    for name in (BASE, NEW):
        records = open_run(folder / about["runs"][name]).records()
        rounds = {record.round for record in records if record.kind == "time" and record.fact is None}
        assert rounds == {block.number for block in blocks if block.stage == "look"}


@pytest.mark.slow
def test_the_worktree_is_gone_and_the_project_as_it_was(compared, place: Path):
    assert len(git(place / "project", "worktree", "list").splitlines()) == 1
    assert git(place / "project", "status", "--porcelain") == ""


@pytest.mark.slow
def test_no_process_is_left(compared, place: Path):
    assert processes_of(place) == []


@pytest.mark.slow
def test_an_interrupt_leaves_no_process_and_no_worktree(compared, place: Path):
    """Both sides run by then, and a worker of base."""
    command = [sys.executable, "-m", "harness", "ab", "HEAD~1", "--suite", "mine.toml", "--project", "project"]
    process = subprocess.Popen(
        command, cwd=place, env=environment_of(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = next(line for line in process.stderr if line.startswith("base [2/"))
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (EXIT_INTERRUPTED, ""), said
    assert stderr.splitlines()[-1] == "harness: interrupted"
    assert processes_of(place) == []
    assert len(git(place / "project", "worktree", "list").splitlines()) == 1
