"""What the machine does to a worker, and what the executor makes of it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fault_tasks
import psutil
import pytest

from harness.execution.executor import Result
from harness.execution.local import LocalExecutor


@pytest.fixture(scope="module")
def executor() -> LocalExecutor:
    return LocalExecutor(threads=1, offline=True, perform=fault_tasks.perform)


@pytest.fixture
def heard() -> list[int]:
    """The process ids that tasks tell."""
    return []


@pytest.fixture
def run(executor: LocalExecutor, heard: list[int]):
    def do(what: str, deadline: float = 60.0) -> Result:
        return executor.run(what, deadline, lambda share, word: heard.append(int(word)))

    return do


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group whose processes may have 300 MB together."""
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    tops = {"memory": Path("/sys/fs/cgroup/memory"), "": Path("/sys/fs/cgroup")}
    for number, controllers, path in groups:
        limit = {"memory": "memory.limit_in_bytes", "": "memory.max"}.get(controllers)
        if limit is None or (controllers == "" and number != "0"):
            continue
        group = tops[controllers] / path.strip("/") / f"harness-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text("300000000")
        except OSError:
            group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("no control group with a limit of memory can be made here")


def gone(pid: int) -> bool:
    """Whether a process has ended, five seconds from now at the latest."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_a_worker_that_the_system_kills_for_memory_is_out_of_memory(run, memory_group: Path):
    result = run(f"fill_group {memory_group}")
    assert (result.status, result.reason) == ("out-of-memory", "killed by the system for using too much memory")
    assert run("good").status == "ok"


def test_memory_that_the_system_refuses_is_out_of_memory(run):
    result = run("fill_address_space")
    assert (result.status, result.reason) == ("out-of-memory", "MemoryError")


def test_a_child_that_holds_the_pipe_of_a_dead_worker_is_not_waited_for(run, heard: list[int]):
    start = time.monotonic()
    result = run("leave_a_child")
    assert (result.status, result.reason) == ("crashed", "exited with 0 without a result")
    assert time.monotonic() - start < 30
    assert gone(heard[0])


def test_a_child_of_a_worker_that_finished_ends_with_it(run, heard: list[int]):
    assert run("tell_of_a_child").status == "ok"
    assert gone(heard[0])


def test_megabytes_of_stderr_leave_no_file(run):
    assert run("print_megabytes").status == "ok"
    assert not [file for file in Path(os.environ["HARNESS_SCRATCH"]).rglob("*") if file.is_file()]


def test_the_run_goes_on_when_the_process_that_workers_are_forked_from_is_killed(run):
    result = run("kill_the_source")
    assert result.status == "crashed"
    assert result.outcome is None
    assert run("good").status == "ok"


def test_a_wall_clock_that_jumps_moves_no_deadline(run, monkeypatch):
    assert run("good").status == "ok"
    jumps = itertools.cycle([1.6e9, 1.7e9, 1.5e9])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    result = run("hang", deadline=1.5)
    assert result.status == "timeout"
    assert 1.5 <= result.seconds < 15
    assert run("good").status == "ok"


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import fault_tasks
from harness.execution.local import LocalExecutor
print("imported", flush=True)
executor = LocalExecutor(threads=1, offline=True, perform=fault_tasks.perform)
executor.run("hang", 600, lambda share, word: print("working", flush=True))
"""


@pytest.mark.parametrize("moment", ["imported", "working"])
def test_a_program_that_is_killed_leaves_no_process_and_no_file(tmp_path: Path, moment: str):
    """``imported``: the process that workers are forked from is killed while it imports its libraries."""
    program = PROGRAM.format(tests=str(Path(__file__).parent))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any(line.strip() == moment for line in process.stdout)
        deadline = time.monotonic() + 60
        family: list[psutil.Process] = []
        while len(family) < 2 and time.monotonic() < deadline:  # multiprocessing's tracker is the first
            family = psutil.Process(process.pid).children(recursive=True)
            time.sleep(0.01)
        process.kill()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    left = [path.name for path in tmp_path.iterdir()]
    assert [name for name in left if not name.startswith("torchinductor_")] == []  # a cache that torch keeps


def test_a_folder_for_temporary_files_too_long_for_a_socket_ends_nothing(tmp_path: Path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    program = PROGRAM.format(tests=str(Path(__file__).parent)).replace('"hang", 600', '"tell_of_a_child", 600')
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(long)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.split()) == (0, ["imported", "working"])
    assert [path.name for path in long.iterdir() if not path.name.startswith("torchinductor_")] == []
