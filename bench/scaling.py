"""What a suite costs the parent as it grows: planning, running, resuming and reporting tasks that do nothing.

    python bench/scaling.py [--tasks 100 300 1000] [--workers]

Each size runs in a process of its own, whose highest memory is told. With ``--workers`` each task has a worker process,
as real ones do; otherwise they are performed in place, which leaves the parent's own time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import stub_tasks

MIB = 2**20


def main() -> None:
    """Print a Markdown table, a line a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--workers", action="store_true", help="a worker process a task")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(_measure(asked.one, asked.workers)))
        return
    lines = []
    for tasks in asked.tasks:
        command = [sys.executable, __file__, "--one", str(tasks), *(["--workers"] if asked.workers else [])]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        lines.append(json.loads(done.stdout.splitlines()[-1]))
    steps = [name for name in lines[0] if name.endswith("_seconds")]
    titles = [f"{name.removesuffix('_seconds')}, ms a task" for name in steps]
    print("| tasks | " + " | ".join([*titles, "records, MB", "peak memory, MiB", "of it by the run, MiB"]) + " |")
    print("|---:" * (len(titles) + 4) + "|")
    for line in lines:
        shown = [f"{1000 * line[name] / line['tasks']:.2f}" for name in steps]
        memory = [
            f"{line['records_bytes'] / 1e6:.2f}",
            f"{line['peak_bytes'] / MIB:.0f}",
            f"{line['own_bytes'] / MIB:.1f}",
        ]
        print(f"| {line['tasks']} | " + " | ".join([*shown, *memory]) + " |")


def _measure(tasks: int, workers: bool) -> dict[str, Any]:
    from harness.cli.progress import Progress
    from harness.execution import run as run_module
    from harness.execution.job import Request, begin
    from harness.execution.local import LocalExecutor
    from harness.records.run_folder import RunFolder
    from harness.records.store import RecordStore
    from harness.reporting.markdown import report

    executor = partial(LocalExecutor, perform=stub_tasks.perform) if workers else stub_tasks.InPlace
    vars(run_module)["LocalExecutor"] = executor
    appended = _timed_method(RecordStore, "append")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _begin_one(folder, begin, Request, 16)  # what is imported and read once is not counted
        before = _peak_bytes()
        plan_seconds, job = _timed(lambda: _begin_one(folder, begin, Request, tasks))

        def go() -> None:
            with Progress(job) as progress:
                job.run(progress)

        run_seconds, _ = _timed(go)
        resume_seconds, resumed = _timed(lambda: _begin_one(folder, begin, Request, tasks))
        assert resumed.folder.path == job.folder.path
        assert not resumed.pending
        assert job.failed() == 0
        own = _peak_bytes() - before  # the report's libraries come after
        stored = RunFolder(job.folder.path, job.folder.info)
        report_seconds, text = _timed(lambda: report(stored))
        assert text.count("stub-0/torch/fp32/cpu") > 1
        return {
            "tasks": len(job.plan.tasks),
            "plan_seconds": plan_seconds,
            "run_seconds": run_seconds - sum(appended),
            "append_seconds": sum(appended),
            "resume_seconds": resume_seconds,
            "report_seconds": report_seconds,
            "records_bytes": stored.store.path.stat().st_size,
            "peak_bytes": _peak_bytes(),
            "own_bytes": own,
        }


def _begin_one(folder: Path, begin: Any, request: Any, tasks: int) -> Any:
    suite = folder / f"stub{tasks}.toml"
    suite.write_text(stub_tasks.suite_text(tasks), encoding="utf-8")
    return begin(request(str(suite), (), (), (), True, False, folder / "runs", folder / "cache", "bench"))


def _timed(act: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = act()
    return time.perf_counter() - began, found


def _timed_method(owner: Any, name: str) -> list[float]:
    """The seconds of each call of a method from now on."""
    seconds: list[float] = []
    method = getattr(owner, name)

    def timed(*given: Any) -> Any:
        took, found = _timed(lambda: method(*given))
        seconds.append(took)
        return found

    setattr(owner, name, timed)
    return seconds


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
