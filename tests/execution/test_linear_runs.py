"""What a run costs a task does not grow with the number of its tasks; counted, since a clock would tell less surely."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stub_tasks

from harness.execution import run as run_module
from harness.execution.executor import Result
from harness.execution.job import Job, Request, begin
from harness.records.hashing import PACKAGE
from harness.records.store import RecordStore


class Quiet:
    """A listener that asks at every task how much is left, as progress bars do."""

    def __init__(self, job: Job) -> None:
        self.estimate = job.estimate

    def began(self, task: Any, done: int, total: int) -> None:
        self.estimate.left()

    def progressed(self, share: float, word: str) -> None:
        self.estimate.left()

    def ended(self, task: Any, result: Result) -> None:
        self.estimate.end(task, result.seconds, result.status == "ok")


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Begin a run of a suite of about so many stub tasks; the same again resumes it."""
    monkeypatch.setattr(run_module, "LocalExecutor", stub_tasks.InPlace)
    monkeypatch.setattr(stub_tasks.InPlace, "limits", [])
    monkeypatch.setattr("os.fsync", lambda file: None)  # which is most of what the run of a stub takes

    def started(tasks: int, *settings: str) -> Job:
        suite = tmp_path / f"stub{tasks}.toml"
        suite.write_text(stub_tasks.suite_text(tasks, rounds=1), encoding="utf-8")
        request = Request(str(suite), settings, (), (), True, False, tmp_path / "runs", tmp_path / "cache", "harness")
        return begin(request)

    return started


def calls(act: Callable[[], Any]) -> Counter[str]:
    """How often each function of the program is called while ``act`` runs."""
    found: Counter[str] = Counter()

    def count(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            found[f"{Path(frame.f_code.co_filename).name}: {frame.f_code.co_qualname}"] += 1

    before = sys.gettrace()
    sys.settrace(count)
    try:
        act()
    finally:
        sys.settrace(before)
    return found


def test_a_run_and_its_resumption_cost_the_same_a_task_however_many_there_are(start):
    counted = {}
    for tasks in (48, 144):
        jobs: list[Job] = []
        planning = calls(lambda tasks=tasks, jobs=jobs: jobs.append(start(tasks)))
        (job,) = jobs
        running = calls(lambda job=job: job.run(Quiet(job)))
        assert job.failed() == 0
        resuming = calls(lambda tasks=tasks: start(tasks))
        assert start(tasks).pending == []
        counted[tasks] = (planning, running, resuming)
    for few, many in zip(counted[48], counted[144], strict=True):
        grown = {name: (few[name], count) for name, count in many.items() if count > 4 * few[name] + 50}
        assert grown == {}


def test_the_records_are_read_as_often_in_a_long_run_as_in_a_short_one(start, monkeypatch):
    reads: list[Path] = []
    lines = RecordStore._lines

    def counted(self: RecordStore) -> Any:
        reads.append(self.path)
        return lines(self)

    monkeypatch.setattr(RecordStore, "_lines", counted)
    found = []
    for tasks in (12, 48):
        job = start(tasks)
        job.run(Quiet(job))
        found.append(len(reads))
        reads.clear()
    assert found[0] == found[1] <= 3


def test_the_estimate_of_what_is_left_ends_at_nothing(start):
    job = start(30)
    before = job.estimate.left()
    job.run(Quiet(job))
    assert before > 5
    assert job.estimate.left() == pytest.approx(0, abs=1e-9)


def test_tasks_are_held_to_the_memory_limit_of_their_kind(start):
    job = start(6, "memory_limits.score='2 GiB'", "memory_limits.time='1 GiB'")
    job.run(Quiet(job))
    kinds = [task.kind for task in job.plan.tasks]
    told = [limit and (limit.setting, limit.bytes) for limit in stub_tasks.InPlace.limits]
    assert dict(zip(kinds, told, strict=True)) == {
        "candidate": None, "variant": None, "score": ("memory_limits.score", 2**31),
        "memory": ("memory_limits.time", 2**30), "limits": ("memory_limits.time", 2**30),
        "load": ("memory_limits.time", 2**30), "time": ("memory_limits.time", 2**30),
    }  # fmt: skip


def test_a_run_goes_on_under_other_budgets_but_not_with_other_rounds(start):
    name = start(6).folder.name
    assert start(6, "deadlines.score=7", "memory_limits.score='1 GiB'").folder.name == name
    assert start(6, "rounds=2").folder.name != name


def test_what_was_over_its_budget_is_tried_again_and_the_rest_is_not(start, monkeypatch):
    job = start(6)
    plain = stub_tasks.InPlace.run

    def held(self: stub_tasks.InPlace, order: Any, *rest: Any, **more: Any) -> Result:
        if getattr(order, "kind", "") == "score":
            return Result("out-of-memory", "needs more", None, "", 0.1)
        return plain(self, order, *rest, **more)

    monkeypatch.setattr(stub_tasks.InPlace, "run", held)
    job.run(Quiet(job))
    assert job.failed() == 1
    again = start(6, "memory_limits.score='1 GiB'")
    assert [task.kind for task in again.pending] == ["candidate", "variant", "score"]
