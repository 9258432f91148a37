"""Faults that a whole run meets with, as a user sees them: real processes, real files, a tiny model."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import fault_tasks
import psutil
import pytest

from harness.errors import HarnessError
from harness.execution.executor import Result
from harness.execution.job import Job, Request, begin
from harness.execution.local import LocalExecutor
from harness.execution.plan import Task
from harness.records.run_folder import RunFolder, find_runs
from harness.reporting.markdown import report

pytestmark = pytest.mark.slow


class Disturbing:
    """A listener that does something once a variant has been prepared, before it is measured."""

    def __init__(self, disturb: Callable[[], None]) -> None:
        self.disturb, self.disturbed = disturb, False

    def began(self, task: Task, done: int, total: int) -> None:
        pass

    def progressed(self, share: float, word: str) -> None:
        pass

    def ended(self, task: Task, result: Result) -> None:
        if task.kind == "variant" and not self.disturbed:
            self.disturbed = True
            self.disturb()


@pytest.fixture(scope="module")
def request_of(drawn_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Request:
    folder = tmp_path_factory.mktemp("place")
    return Request(
        suite=str(drawn_suite),
        settings=(),
        only=(),
        skip=(),
        offline=False,
        fresh=True,
        runs_dir=folder / "runs",
        cache_dir=folder / "cache",
        command="harness run",
        timed=False,
    )


@pytest.fixture
def checkpoint(request_of: Request) -> Callable[[], Path]:
    """Finds the checkpoint's weights in the cache."""
    return lambda: next(request_of.cache_dir.glob("checkpoints/drawn-*/model.safetensors"))


def done(request: Request, disturb: Callable[[], None]) -> Job:
    job = begin(request)
    job.run(Disturbing(disturb))
    return job


def scores(job: Job) -> list[tuple[str, float | None, str]]:
    return scores_of(job.folder)


def scores_of(run: RunFolder) -> list[tuple[str, float | None, str]]:
    records = run.records()
    return [(r.fact.metric, r.fact.value, r.subject.weights_hash) for r in records if r.fact and r.kind == "score"]


@pytest.fixture(scope="module")
def undisturbed(request_of: Request) -> Job:
    return done(request_of, lambda: None)


def cut_short(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(1000)


def swap(file: Path) -> None:
    """Other weights of the same shapes: they load as well as the right ones."""
    content = bytearray(file.read_bytes())
    content[-4000:] = content[-8000:-4000]
    file.write_bytes(content)


def remove(file: Path) -> None:
    shutil.rmtree(file.parent)


@pytest.mark.parametrize(("change", "damaged"), [(cut_short, True), (swap, True), (remove, False)])
def test_an_artefact_that_changes_while_a_run_goes_on_is_made_again(
    request_of: Request,
    undisturbed: Job,
    checkpoint: Callable[[], Path],
    capfd: pytest.CaptureFixture[str],
    change,
    damaged: bool,
):
    disturbed = done(request_of, lambda: change(checkpoint()))
    said = capfd.readouterr().err
    assert "the files of drawn changed since they were prepared: checking them" in said
    assert (f"artefact {checkpoint().parent.name} was damaged, and was made again" in said) is damaged
    assert disturbed.failed() == 0
    assert scores(disturbed) == scores(undisturbed) != []


def test_a_number_that_is_none_fails_its_task_and_the_others_go_on(request_of: Request, monkeypatch):
    executor = partial(LocalExecutor, perform=fault_tasks.perform_with_nan)
    monkeypatch.setattr("harness.execution.run.LocalExecutor", executor)
    job = done(request_of, lambda: None)
    (failed,) = (record for record in job.folder.store.closings() if record.status != "ok")
    assert (failed.kind, failed.status, failed.facts) == ("score", "failed", 0)
    assert re.fullmatch(r"\w+ holds a number that is not finite \(value nan\)", failed.reason)
    assert {record.kind for record in job.folder.store.closings()} == {"candidate", "variant", "score", "memory"}
    assert "holds a number that is not finite" in report(job.folder, [])


def test_two_runs_at_once_share_what_they_prepare_and_find_the_same(
    drawn_suite: Path, tmp_path: Path, undisturbed: Job
):
    command = [sys.executable, "-m", "harness", "run", "--suite", str(drawn_suite), "--cache-dir", str(tmp_path / "c")]
    both = [
        subprocess.Popen([*command, "--runs-dir", str(tmp_path / name)], stdout=subprocess.DEVNULL)
        for name in ("first", "second")
    ]
    assert [each.wait(timeout=120) for each in both] == [0, 0]
    runs = [find_runs(tmp_path / name)[0] for name in ("first", "second")]
    assert [path.name.partition("-")[0] for path in (tmp_path / "c" / "checkpoints").glob("*/")] == ["drawn"]
    assert scores_of(runs[0]) == scores_of(runs[1]) == scores(undisturbed)


def test_a_run_folder_that_vanishes_ends_the_run_with_one_line(request_of: Request):
    job = begin(request_of)
    with pytest.raises(HarnessError, match=r"cannot write .*records\.jsonl: No such file or directory"):
        job.run(Disturbing(lambda: shutil.rmtree(job.folder.path)))


def test_a_storage_that_is_lost_is_told_and_changes_nothing(
    request_of: Request, undisturbed: Job, tmp_path: Path, capfd
):
    storage = tmp_path / "storage"
    job = begin(replace(request_of, storage=str(storage)))
    cut_off(storage)
    job.run(Disturbing(lambda: None))
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("cannot use the storage")]
    assert all(line.endswith(" stays on this machine") for line in told)
    recorded = [r.conditions["storage"] for r in job.folder.store.finished() if "storage" in r.conditions]
    assert [line for lines in recorded for line in lines] == told != []
    assert scores(job) == scores(undisturbed)


def cut_off(folder: Path) -> None:
    """Put a file where a folder was."""
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_ctrl_c_twice_ends_at_once_with_one_line_and_leaves_nothing(drawn_suite: Path, tmp_path: Path, pause: float):
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "HARNESS_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "harness", "run", "--suite", str(drawn_suite)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        assert any(line.startswith("[1/") for line in process.stderr)
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(pause)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "harness: interrupted"
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert [path.name for path in (tmp_path / "tmp").iterdir() if not path.name.startswith("torchinductor_")] == []
    (run,) = (tmp_path / "runs").iterdir()
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] in ([], [".lock"])
