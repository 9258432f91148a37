"""What it costs to begin: the command line's answer, and a worker that is ready to work."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from harness.execution.local import LocalExecutor
from harness.execution.orders import Outcome
from harness.execution.worker import Channel

pytestmark = pytest.mark.benchmark(group="start-up")


def nothing(order: Any, channel: Channel) -> Outcome:
    """A task that is done at once."""
    return Outcome([])


def bench_help(benchmark):
    command = [sys.executable, "-m", "harness", "--help"]
    benchmark.pedantic(subprocess.run, (command,), {"check": True, "capture_output": True}, rounds=5)


def bench_a_fresh_worker(benchmark):
    """From the order to the outcome; the server that workers are forked from is up and has imported the libraries."""
    executor = LocalExecutor(threads=1, offline=True, perform=nothing)

    def worker() -> None:
        result = executor.run("order", 60, lambda share, word: None)
        assert result.status == "ok", result.stderr_tail

    benchmark.pedantic(worker, rounds=10, warmup_rounds=1)
