"""While a worker works nothing else of the program does."""

from __future__ import annotations

import time

import psutil
import pytest
import quiet_tasks

from harness.execution.local import LocalExecutor


@pytest.fixture(scope="module")
def executor() -> LocalExecutor:
    executor = LocalExecutor(threads=1, offline=True, perform=quiet_tasks.perform)
    executor.run("begin", 120, lambda share, word: None)
    return executor


@pytest.mark.parametrize("what", ["sleep", "work"])
def test_the_parent_uses_less_than_a_hundredth_of_a_core_while_a_worker_works(executor: LocalExecutor, what: str):
    wall, began = time.monotonic(), time.process_time()
    assert executor.run(what, 120, lambda share, word: None).status == "ok"
    used, wall = time.process_time() - began, time.monotonic() - wall
    assert wall >= 2
    assert used < 0.01 * wall + 0.02  # and what it takes to start and to end a worker, once


def test_the_process_that_workers_are_forked_from_has_one_thread(executor: LocalExecutor):
    servers = [p for p in psutil.Process().children() if "forkserver" in " ".join(p.cmdline())]
    assert servers
    assert [server.num_threads() for server in servers] == [1] * len(servers)


def test_a_worker_begins_its_task_soon_after_it_was_asked_for(executor: LocalExecutor):
    waits = []
    for _ in range(5):
        asked = time.monotonic()
        executor.run("begin", 120, lambda share, word, asked=asked: waits.append(float(word) - asked))
    assert min(waits) < 0.3
