from __future__ import annotations

import os
import signal
import time

import misbehaving
import psutil
import pytest
from builders import make_subject

from harness.execution.executor import Assignment, Result
from harness.execution.local import LocalExecutor
from harness.execution.plan import Task


@pytest.fixture(scope="module")
def executor() -> LocalExecutor:
    return LocalExecutor(threads=1, offline=True, perform=misbehaving.perform)


def _run(executor: LocalExecutor, what: str, deadline: float = 60.0) -> Result:
    return executor.run(what, deadline, lambda share, word: None)


def test_a_good_task_hands_back_its_facts(executor: LocalExecutor):
    result = _run(executor, "good")
    assert result.status == "ok"
    assert [fact.metric for fact in result.outcome.facts] == ["load_seconds"]


def test_progress_reaches_the_parent(executor: LocalExecutor):
    heard = []
    executor.run("good", 60, lambda share, word: heard.append((share, word)))
    assert heard == [(0.5, "half way")]


def test_a_task_that_hangs_is_killed_at_its_deadline(executor: LocalExecutor):
    start = time.monotonic()
    result = _run(executor, "hang", deadline=1.0)
    assert result.status == "timeout"
    assert result.reason == "killed after 1 s"
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("what", "status", "reason"),
    [
        ("segfault", "crashed", "killed by SIGSEGV"),
        ("killed", "crashed", "killed by SIGKILL"),
        ("silent", "crashed", "exited with 0 without a result"),
        ("raise", "failed", "KeyError: 'a key'"),
        ("refuse", "failed", "this cannot work"),
        ("unavailable", "skipped", "not to be had here"),
        ("greedy", "out-of-memory", "MemoryError"),
    ],
)
def test_a_task_that_ends_badly_says_how(executor: LocalExecutor, what: str, status: str, reason: str):
    result = _run(executor, what)
    assert (result.status, result.reason, result.outcome) == (status, reason, None)


def test_the_executor_goes_on_after_a_crash(executor: LocalExecutor):
    _run(executor, "segfault")
    assert _run(executor, "good").status == "ok"


def test_megabytes_of_stderr_are_kept_as_a_short_tail(executor: LocalExecutor):
    result = _run(executor, "chatter")
    assert result.status == "failed"
    assert len(result.stderr_tail) <= 2000
    assert "after four megabytes" in result.stderr_tail


def test_what_a_task_started_dies_with_it(executor: LocalExecutor):
    heard: list[int] = []
    executor.run("orphan", 2.0, lambda share, word: heard.append(int(word)))
    assert len(heard) == 1
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in heard if psutil.pid_exists(pid)], timeout=5)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_memory_that_is_held_for_a_moment_is_seen(executor: LocalExecutor):
    result = executor.run("flash 20", 60, lambda share, word: None)
    assert result.outcome is not None
    (peak,) = (fact for fact in result.outcome.facts if fact.metric == "peak_memory_bytes")
    assert peak.value == pytest.approx(20e6, rel=0.2)


def test_memory_over_the_baseline_is_seen_from_outside(executor: LocalExecutor):
    small, large = (_run(executor, f"allocate {size}").outcome.facts[-1] for size in (1, 60))
    assert small.metric == large.metric == "peak_memory_bytes"
    assert large.value - small.value == pytest.approx(59_000_000, rel=0.1)


def test_a_ctrl_c_while_a_worker_starts_kills_it_and_passes_on(executor: LocalExecutor, monkeypatch, capfd):
    process = executor._context.Process
    start, started = process.start, []
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it

    def interrupted(self) -> None:
        start(self)
        started.append(self)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(process, "start", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            _run(executor, "hang")
    finally:
        signal.signal(signal.SIGINT, usual)
    (worker,) = started
    assert worker.exitcode is not None
    assert "Traceback" not in capfd.readouterr().err


def test_a_task_that_is_cancelled_before_it_begins_makes_room(executor: LocalExecutor):
    task = Task("score", None, make_subject(), "hash")
    executor.submit(Assignment(task, "good", 60.0))
    assert not executor.room()
    executor.cancel()
    assert executor.room()
