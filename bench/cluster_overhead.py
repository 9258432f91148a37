"""What a task costs on a Ray cluster beside plain Ray: tasks that do nothing, on three nodes of this machine.

    python bench/cluster_overhead.py [--tasks 1000] [--rounds 5]

Plain Ray submits calls of an empty function and collects them, as many at once as the executor has under way. The
executor does the same with orders of a suite; the runner puts them into a queue, and their records on the disk and in
the storage.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import ray
import stub_tasks
from ray.cluster_utils import Cluster as Raylets

from harness.execution.executor import Assignment
from harness.execution.job import Job, Request, begin

PROJECT = Path(__file__).resolve().parents[1]
NODES = 3


class Quiet:
    """A listener that hears nothing."""

    def began(self, *what: Any) -> None:
        """A task begins."""

    progressed = ended = began


def nothing(given: Any) -> None:
    """What plain Ray does."""


@contextmanager
def cluster(nodes: int, cores: int = 1) -> Iterator[None]:
    """This process is connected to a cluster of so many nodes of so many cores each, which know what stubs are."""
    modules = os.pathsep.join(str(PROJECT / folder) for folder in (".", "tests", "bench"))
    with tempfile.TemporaryDirectory(prefix="hr-", dir="/tmp") as folder:  # short, for Ray puts sockets into it
        (Path(folder) / "ray").mkdir()
        os.environ["RAY_TMPDIR"] = folder
        raylets = Raylets()
        for _ in range(nodes):
            raylets.add_node(num_cpus=cores, object_store_memory=80_000_000, env_vars={"PYTHONPATH": modules})
        ray.init(raylets.address, logging_level=logging.ERROR, log_to_driver=False)
        try:
            yield
        finally:
            ray.shutdown()
            raylets.shutdown()


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with cluster(NODES):
        compare(asked.tasks, asked.rounds)


def compare(tasks: int, rounds: int) -> None:
    """Time the ways in turns."""
    ways: dict[str, Callable[[int, Path], float]] = {
        "plain Ray": plain, "the executor": executor, "the whole runner": runner}  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as scratch:
        for round in range(rounds + 1):
            for name, way in ways.items():
                folder = Path(scratch) / f"{name}-{round}"
                folder.mkdir()
                milliseconds = way(tasks, folder)
                found[name] += [milliseconds] if round else []  # the first warms up
    print("| way | ms a task | over plain Ray |")
    print("|:--|--:|--:|")
    for name, times in found.items():
        over = [mine - plain for mine, plain in zip(times, found["plain Ray"], strict=True)]
        print(f"| {name} | {shown(times)} | {shown(over) if name != 'plain Ray' else ''} |")


def shown(values: list[float]) -> str:
    """Median, least and greatest."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def plain(tasks: int, folder: Path, places: int = NODES) -> float:
    """Milliseconds a call of an empty function, as many under way as the executor has."""
    call = ray.remote(nothing).options(num_cpus=1)
    start, waiting, left = time.perf_counter(), [], tasks
    while waiting or left:
        while left and len(waiting) < 2 * places:
            waiting.append(call.remote(None))
            left -= 1
        (done,), waiting = ray.wait(waiting, num_returns=1)
        ray.get(done)
    return (time.perf_counter() - start) / tasks * 1e3


def job_of(tasks: int, folder: Path) -> Job:
    """A job on the cluster of about so many tasks that do nothing, not begun."""
    suite = folder / "stub.toml"
    suite.write_text(stub_tasks.suite_text(tasks), encoding="utf-8")
    places = {"runs_dir": folder / "runs", "cache_dir": folder / "cache", "storage": str(folder / "storage")}
    job = begin(Request(str(suite), ("threads=1",), (), (), True, False, command="bench", executor="ray", **places))
    job.executor._bundle = replace(job.executor._bundle, instead=stub_tasks.performed)
    return job


def executor(tasks: int, folder: Path) -> float:
    """Milliseconds a task submitted and waited for."""
    job = job_of(100, folder)
    found, task = job.executor, job.plan.tasks[0]
    order = job.runner._order(task)
    start, left = time.perf_counter(), tasks
    while left or found.under_way:
        while left and found.room():
            found.submit(Assignment(task, order, 60.0))
            left -= 1
        found.wait(lambda share, word: None)
    return (time.perf_counter() - start) / tasks * 1e3


def runner(tasks: int, folder: Path) -> float:
    """Milliseconds a task of a run, with its records on the disk and in the storage."""
    job = job_of(tasks, folder)
    start = time.perf_counter()
    job.run(Quiet())
    assert job.failed() == 0, {r.reason for r in job.folder.store.closings() if r.status != "ok"}
    return (time.perf_counter() - start) / len(job.plan.tasks) * 1e3


if __name__ == "__main__":
    main()
