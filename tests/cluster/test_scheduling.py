"""Where tasks go on a real cluster, and what becomes of a run when nodes, drivers and machines come and go.

Tasks measure nothing, so that runs take seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stub_tasks
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem
from node_tasks import slowly, telling_devices

from harness.errors import HarnessError
from harness.execution.executor import TIMING, Result
from harness.execution.job import Job, Request, begin
from harness.records.record import Record
from harness.records.run_folder import open_run
from harness.reporting.markdown import report

pytestmark = pytest.mark.slow
MEASURED = ("score", "memory", *TIMING)


class Listener:
    """Does something when so many tasks of some kinds have ended."""

    def __init__(self, kinds: tuple[str, ...] = (), count: int = 0, act: Callable[[], None] = lambda: None) -> None:
        self.kinds, self.left, self.act = kinds, count, act

    def began(self, task: Any, done: int, total: int) -> None:
        pass

    def progressed(self, share: float, word: str) -> None:
        pass

    def ended(self, task: Any, result: Result) -> None:
        self.left -= task.kind in self.kinds
        if task.kind in self.kinds and self.left == 0:
            self.act()


@pytest.fixture(scope="module")
def connection(raylets) -> Iterator[Any]:
    yield raylets
    import ray

    ray.shutdown()


Start = Callable[..., Job]


@pytest.fixture
def start(connection, tmp_path: Path) -> Start:
    """Begin a run on the cluster, or go on with it; ``where`` is the machine of its driver."""

    def started(
        where: str = "here",
        variants: str = '["torch/fp32"]',
        instead: Callable[[Any], Result] = stub_tasks.performed,
        storage: str = "",
        tasks: int = 20,
        only: tuple[str, ...] = (),
    ) -> Job:
        suite = tmp_path / "stub.toml"
        suite.write_text(stub_tasks.suite_text(tasks, rounds=3).replace('["torch/fp32"]', variants), encoding="utf-8")
        job = begin(
            Request(
                str(suite), ("threads=1",), only, (), True, False, tmp_path / where, tmp_path / "cache", "test",
                executor="ray", address=connection.address, storage=storage or str(tmp_path / "storage"),
            )
        )  # fmt: skip
        job.executor._bundle = replace(job.executor._bundle, instead=instead)
        return job

    return started


def stopped(job: Job, kinds: tuple[str, ...], count: int) -> None:
    """Run until so many tasks of these kinds have ended."""

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(Listener(kinds, count, stop))


def attempts(job: Job) -> list[Record]:
    return [record for record in job.folder.store.read() if record.fact is None]


def found(job: Job) -> list[str]:
    """All that reports are made of."""
    return sorted(record.to_json() for record in job.folder.store.finished())


def nodes(records: list[Record]) -> set[str]:
    return {record.conditions["node"] for record in records if record.status == "ok"}


def timings(job: Job) -> list[Record]:
    return [record for record in job.folder.store.finished() if record.fact is None and record.kind in TIMING]


def test_another_machine_goes_on_with_a_run_and_repeats_nothing(start: Start):
    first = start()
    stopped(first, TIMING, 3)
    second = start(where="elsewhere")
    assert second.folder.name == first.folder.name
    assert second.folder.path != first.folder.path
    assert second.folder.store.path.read_bytes() == first.folder.store.path.read_bytes()
    second.run(Listener())
    good = [record.task for record in attempts(second) if record.status == "ok" and record.kind in MEASURED]
    assert len(good) == len(set(good)) == sum(task.kind in MEASURED for task in second.plan.tasks)
    assert len(nodes(timings(second))) == 1
    third = start()
    assert third.pending == []
    assert found(third) == found(second)


def test_a_resumed_run_survives_the_node_that_its_timings_are_pinned_to(start: Start, connection):
    first = start()
    stopped(first, TIMING, 3)
    second = start(instead=slowly)
    before = nodes(timings(second))
    second.run(Listener(TIMING, 1, lambda: connection.kill("large")))
    connection.add("large")
    assert {record.status for record in second.folder.store.closings()} == {"ok"}
    assert len(nodes(timings(second))) == 1
    assert nodes(timings(second)) != before
    good = [record.task for record in attempts(second) if record.status == "ok" and record.kind in ("score", "memory")]
    assert len(good) == len(set(good))


def test_a_kind_of_machine_is_measured_on_its_own_nodes(start: Start):
    job = start(variants='["torch/fp32@small", "torch/fp32@large"]')
    job.run(Listener())
    run = open_run(job.folder.path)
    measured = [record for record in attempts(job) if record.kind != "candidate"]
    by_kind = [nodes([each for each in measured if each.subject.machine == kind]) for kind in ("small", "large")]
    assert [len(each) for each in by_kind] == [1, 1]
    assert by_kind[0] != by_kind[1]
    assert [(each["kind"], each["nodes"]) for each in run.info["machines"]] == [("small", 1), ("large", 1)]
    assert "The kinds side by side" in report(run)


def test_timings_that_a_shorter_run_leaves_out_do_not_stay_with_another_machine(start: Start, connection):
    whole = start(tasks=30)
    whole.run(Listener())
    connection.kill("large")
    short = start(tasks=30, only=("stub-0",))
    short.run(Listener())
    connection.add("large")
    assert short.folder.path == whole.folder.path
    good = [record for record in timings(short) if record.status == "ok"]
    assert len(nodes(good)) == 1
    assert {record.subject.candidate for record in good} == {"stub-0", ""}


def test_a_node_that_has_changed_takes_its_timings_again(start: Start):
    job = start()
    (place, *_) = job.executor._fitting("")
    same = job.executor._as_timed("", place)
    assert job.executor.resume({"a": same, "b": same, "c": replace(same, environment="of before")}) == {"c"}


def test_a_storage_that_is_lost_ends_no_run(start: Start, tmp_path: Path, capsys):
    job = start()

    def cut_off() -> None:
        storage = tmp_path / "storage"
        while not storage.is_file():  # an upload may make the folder again
            storage.rename(tmp_path / f"gone-{time.time_ns()}")
            with suppress(IsADirectoryError):
                storage.write_text("")

    job.run(Listener(("score",), 1, cut_off))
    assert job.failed() == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "cannot use the storage" in line]
    assert told[0].endswith("; records stay on this machine")
    (tmp_path / "storage").unlink()
    assert start().pending == []
    assert found(start(where="elsewhere")) == found(job)


def test_a_node_that_joins_later_takes_part_and_is_listed(start: Start, connection):
    job = start(instead=slowly, tasks=60)
    job.run(Listener(("candidate",), 1, lambda: connection.add("late")))
    (machine,) = open_run(job.folder.path).info["machines"]
    connection.remove("late")
    assert (machine["nodes"], len(nodes(attempts(job)))) == (4, 4)
    assert {record.status for record in attempts(job)} == {"ok"}


@pytest.fixture
def other_versions(tmp_path: Path) -> Path:
    """A folder in which Python finds another version of a library."""
    about = tmp_path / "other" / "tokenizers-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tokenizers\nVersion: 0.1\n")
    return about.parent


def test_a_node_with_other_versions_is_refused_with_the_difference(start: Start, connection, other_versions: Path):
    connection.add("stranger", path=other_versions)
    try:
        with pytest.raises(HarnessError, match=r"^node [0-9a-f]+ of the cluster has tokenizers 0\.1 \(here [0-9.]+\)$"):
            start()
    finally:
        connection.remove("stranger")


def test_a_node_with_other_versions_that_joins_later_is_left_out(start: Start, connection, other_versions, capsys):
    job = start(instead=slowly, tasks=60)
    job.run(Listener(("candidate",), 1, lambda: connection.add("stranger", path=other_versions)))
    connection.remove("stranger")
    assert "has tokenizers 0.1" in capsys.readouterr().err
    assert {record.status for record in attempts(job)} == {"ok"}
    assert len(nodes(attempts(job))) == 3


def test_gpu_tasks_go_where_gpus_are_and_see_one_each(start: Start, connection):
    connection.add("gpu", gpus=2)
    try:
        job = start(variants='["torch/fp32/cpu", "torch/fp32/cuda"]', instead=telling_devices)
        job.run(Listener())
    finally:
        connection.remove("gpu")
    on_gpus = [record for record in attempts(job) if record.subject.device == "cuda"]
    assert {record.conditions["gpus"] for record in on_gpus} <= {"0", "1"}
    assert "limits" in {record.kind for record in on_gpus}
    assert nodes(on_gpus) == nodes(timings(job))
    assert len(nodes(timings(job))) == 1


def test_gpu_tasks_without_a_gpu_are_refused(start: Start):
    with pytest.raises(HarnessError, match=r"fits no node \(there are up to 2 cores and 0 GPUs\)"):
        start(variants='["torch/fp32/cpu", "torch/fp32/cuda"]')


def test_a_storage_that_is_another_place_on_each_node_is_refused(start: Start):
    with pytest.raises(HarnessError, match="memory://here is another place there than on the machine that starts"):
        start(storage="memory://here")


class OnlyHere(MemoryFileSystem):
    """A protocol that nodes do not know."""

    protocol = "onlyhere"


def test_a_storage_that_a_node_cannot_reach_is_refused(start: Start, tmp_path: Path):
    register_implementation("onlyhere", OnlyHere, clobber=True)
    told = r"^node [0-9a-f]+ of the cluster: cannot use the storage onlyhere://x: Protocol not known: onlyhere$"
    with pytest.raises(HarnessError, match=told):
        start(storage="onlyhere://x")
    assert not (tmp_path / "here").exists()


def test_a_process_stays_with_the_cluster_that_it_is_connected_to(start: Start, connection, monkeypatch):
    start()
    monkeypatch.setattr(type(connection), "address", "127.0.0.1:9")
    with pytest.raises(HarnessError, match=r"connected to the Ray cluster at \S+ already, not to 127\.0\.0\.1:9"):
        start()


KEYS = """
import ray
from ray.cluster_utils import Cluster
from harness.execution.ray_cluster import Nodes, connected
from harness.records.environment import snapshot

for _ in range(2):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000})
    nodes = Nodes(connected(cluster.address)[0], "run", snapshot(1), "")
    print(nodes.places[0].id, nodes.key(nodes.places[0].id))
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    nodes.look()
    print(len(nodes.places), len(nodes.refused))
    ray.shutdown()
    cluster.shutdown()
"""


def test_a_machine_keeps_its_name_in_a_run_when_ray_is_started_again(connection):
    environment = {**os.environ, "RAY_TMPDIR": str(connection.folder)}
    done = subprocess.run(
        [sys.executable, "-c", KEYS], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    first, alone, second, _ = (line.split() for line in done.stdout.splitlines())
    assert first[0] != second[0]
    assert first[1] == second[1]
    assert alone == ["1", "1"]  # for a second one there is no storage to share
    assert "for there is no --storage" in done.stderr
