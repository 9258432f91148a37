"""What a task costs on a Ray cluster beside plain Ray: tasks that do nothing, on three nodes of this machine.

    python bench/cluster_overhead.py [--tasks 1000] [--rounds 5]

Plain Ray submits calls of an empty function and collects them, as many at once as the executor has under way. The
executor does the same with orders of a suite; the runner puts them into a queue and their records on the disk, too.
Prints medians with the least and the greatest of the rounds, which take turns.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import ray
import stub_tasks
from ray.cluster_utils import Cluster as Raylets

from harness.execution.executor import Assignment, Result
from harness.execution.job import Job, Request, begin
from harness.execution.ray_executor import RayExecutor

PROJECT = Path(__file__).resolve().parents[1]
NODES = 3


class Quiet:
    """A listener that hears nothing."""

    def began(self, *what: Any) -> None:
        """A task begins."""

    progressed = ended = began


def empty(order: Any) -> Result:
    """What a node does in place of a worker process."""
    return Result("ok", "", stub_tasks.perform(order, None), "", 0.0)


def nothing(given: Any) -> None:
    """What plain Ray does."""


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    raylets = Raylets()
    for _ in range(NODES):
        folders = (PROJECT, PROJECT / "tests", PROJECT / "bench")
        found_by_nodes = {"PYTHONPATH": os.pathsep.join(map(str, folders))}
        raylets.add_node(num_cpus=1, object_store_memory=80_000_000, env_vars=found_by_nodes)
    ray.init(raylets.address, logging_level=logging.ERROR, log_to_driver=False)
    ways: dict[str, Callable[[int, Path], float]] = {
        "plain Ray": plain, "the executor": executor, "the whole runner": runner}  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as scratch:
        for round in range(asked.rounds + 1):
            for name, way in ways.items():
                folder = Path(scratch) / f"{name}-{round}"
                folder.mkdir()
                milliseconds = way(asked.tasks, folder)
                found[name] += [milliseconds] if round else []  # the first warms up
    print("| way | ms a task | over plain Ray |")
    print("|:--|--:|--:|")
    for name, times in found.items():
        over = [mine - plain for mine, plain in zip(times, found["plain Ray"], strict=True)]
        print(f"| {name} | {shown(times)} | {shown(over) if name != 'plain Ray' else ''} |")
    ray.shutdown()
    raylets.shutdown()


def shown(values: list[float]) -> str:
    """Median, least and greatest."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def plain(tasks: int, folder: Path) -> float:
    """Milliseconds a call of an empty function, as many under way as the executor has."""
    call = ray.remote(nothing).options(num_cpus=1)
    start, waiting, left = time.perf_counter(), [], tasks
    while waiting or left:
        while left and len(waiting) < 2 * NODES:
            waiting.append(call.remote(None))
            left -= 1
        (done,), waiting = ray.wait(waiting, num_returns=1)
        ray.get(done)
    return (time.perf_counter() - start) / tasks * 1e3


def job_of(tasks: int, folder: Path) -> Job:
    """A job of about so many tasks that do nothing, not begun."""
    suite = folder / "stub.toml"
    suite.write_text(stub_tasks.suite_text(tasks), encoding="utf-8")
    return begin(Request(str(suite), ("threads=1",), (), (), True, True, folder / "runs", folder / "cache", "bench"))


def on_cluster(job: Job, folder: Path) -> RayExecutor:
    """An executor whose nodes perform stubs in place."""
    storage = str(folder / "storage")
    return RayExecutor(job.folder.name, job.plan, job.runner.environment, True, "", storage, empty)


def executor(tasks: int, folder: Path) -> float:
    """Milliseconds a task submitted and waited for."""
    job = job_of(100, folder)
    found, task = on_cluster(job, folder), job.plan.tasks[0]
    order = job.runner._order(task)
    start, left = time.perf_counter(), tasks
    while left or found.under_way:
        while left and found.room():
            found.submit(Assignment(task, order, 60.0))
            left -= 1
        found.wait(lambda share, word: None)
    return (time.perf_counter() - start) / tasks * 1e3


def runner(tasks: int, folder: Path) -> float:
    """Milliseconds a task of a run, records and all."""
    job = job_of(tasks, folder)
    job.runner._executor = on_cluster(job, folder)
    start = time.perf_counter()
    job.run(Quiet())
    assert job.failed() == 0, {r.reason for r in job.folder.store.closings() if r.status != "ok"}
    return (time.perf_counter() - start) / len(job.plan.tasks) * 1e3


if __name__ == "__main__":
    main()
