"""How the cost of a run on a cluster grows with tasks, nodes, places and bytes, on nodes of this machine.

    python bench/cluster_growth.py [--quick]

Tasks do nothing, so that what is seen is the driver's time: queue, Ray, records on its disk and in the storage (a local
folder). A place is a core of a node; twice as many tasks are under way. Places are warm before they are timed. Prints
Markdown tables.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from cluster_overhead import Quiet, cluster, job_of, plain

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.storage import Storage
from harness.execution.job import Job

MIB = 2**20


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the tasks, to try the script")
    share = 10 if parser.parse_args().quick else 1
    with scratch() as folder:
        show("| nodes | places | plain Ray, ms a task | run, ms a task |", (
            (nodes, nodes * cores, *per_task(nodes, cores, 1000 // share, folder / f"{nodes}-{cores}"))
            for nodes, cores in ((1, 1), (3, 1), (6, 1), (12, 1), (4, 4), (4, 8), (4, 16))
        ))  # fmt: skip
        with cluster(3):
            show("| tasks | run, ms a task | records, MB | objects | go on, s | take up elsewhere, s | driver, MiB |", (
                whole_run(tasks // share, folder / str(tasks)) for tasks in (1000, 3000, 10_000)
            ))  # fmt: skip
        show("| artefact, MiB | offered, MiB/s | offered again, s | fetched, MiB/s |", (
            artefact(size // share, folder / f"artefact{size}") for size in (64, 256, 1024)
        ))  # fmt: skip


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for all that is written."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def show(header: str, rows: Iterable[tuple[float, ...]]) -> None:
    """Print a table as it grows."""
    print(f"\n{header}\n|{'--:|' * (header.count('|') - 1)}")
    for row in rows:
        print("|", " | ".join(str(each) if isinstance(each, int) else f"{each:.2f}" for each in row), "|", flush=True)


def per_task(nodes: int, cores: int, tasks: int, folder: Path) -> tuple[float, float]:
    """Milliseconds a task with plain Ray and of a run."""
    with cluster(nodes, cores):
        plain(max(tasks, 20 * nodes * cores), folder, nodes * cores)
        bare = plain(tasks, folder, nodes * cores)
        ran(tasks // 4, folder / "warm")
        job, seconds = ran(tasks, folder / "run")
        return bare, seconds / len(job.plan.tasks) * 1e3


def whole_run(tasks: int, folder: Path) -> tuple[float, ...]:
    """What a run of so many tasks costs, and what it costs to begin it again here and on another machine."""
    job, seconds = ran(tasks, folder)
    size = job.folder.store.path.stat().st_size / 1e6
    objects = sum(path.is_file() for path in (folder / "storage" / "runs").rglob("*.jsonl"))
    again = timed_begin(tasks, folder)
    shutil.rmtree(folder / "runs")
    elsewhere = timed_begin(tasks, folder)
    memory = psutil.Process().memory_info().rss / MIB
    return len(job.plan.tasks), seconds / len(job.plan.tasks) * 1e3, size, objects, again, elsewhere, memory


def ran(tasks: int, folder: Path) -> tuple[Job, float]:
    """A run from its beginning to its end, and the seconds between."""
    folder.mkdir(parents=True, exist_ok=True)
    job, start = job_of(tasks, folder), time.perf_counter()
    job.run(Quiet())
    assert job.failed() == 0
    return job, time.perf_counter() - start


def timed_begin(tasks: int, folder: Path) -> float:
    """Seconds until a run that is finished is known to be."""
    start = time.perf_counter()
    job = job_of(tasks, folder)
    assert job.pending == []
    return time.perf_counter() - start


def artefact(mebibytes: int, folder: Path) -> tuple[float, ...]:
    """MiB/s of an artefact of one file to the storage and from there to another cache, hashes and all."""

    def build(place: Path) -> None:
        with (place / "weights.bin").open("wb") as stream:
            for number in range(mebibytes):
                stream.write(number.to_bytes(4, "big") * (MIB // 4))

    made = ArtefactStore(folder / "first").get("kind", "large", {}, build)
    times = []
    for act in (
        lambda: Storage.at(str(folder / "storage")).offer(made, "kind"),
        lambda: Storage.at(str(folder / "storage")).offer(made, "kind"),
        lambda: ArtefactStore(folder / "second", Storage.at(str(folder / "storage"))).get("kind", "large", {}, build),
    ):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return mebibytes, mebibytes / times[0], times[1], mebibytes / times[2]


if __name__ == "__main__":
    main()
