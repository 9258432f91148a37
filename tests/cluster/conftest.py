"""A Ray cluster of three nodes on this machine, each a raylet of its own with a cache of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.records.run_folder import RunFolder, find_runs

PROJECT = Path(__file__).resolve().parents[2]
CORES = {"head": 1, "large": 2, "small": 1}
SOON = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""A node that was killed is noticed within seconds."""


def harness_run(suite: Path | str, folder: Path, *more: str) -> list[str]:
    """A run that keeps all that it has in a folder."""
    command = [sys.executable, "-m", "harness", "run", "--suite", str(suite), "--threads", "1", "--json"]
    return [*command, "--runs-dir", str(folder / "runs"), "--cache-dir", str(folder / "cache"), *more]


def finished(command: list[str], folder: Path) -> RunFolder:
    """Do a run to its end."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return find_runs(folder / "runs")[-1]


@dataclass
class Raylets:
    """The cluster, with its nodes by the kind of machine that they are labelled as. ``folder`` is short, for Ray puts
    sockets into it."""

    cluster: Any
    folder: Path
    nodes: dict[str, Any]

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def command(self, suite: Path | str, name: str, *more: str) -> list[str]:
        """A run on the cluster."""
        storage = ["--storage", str(self.folder / name / "storage")]
        return harness_run(suite, self.folder / name, "--executor", "ray", "--address", self.address, *storage, *more)

    def kill(self, kind: str) -> None:
        """End a node as a power cut would."""
        self.cluster.remove_node(self.nodes.pop(kind), allow_graceful=False)

    def remove(self, kind: str) -> None:
        """Let a node leave."""
        self.cluster.remove_node(self.nodes.pop(kind), allow_graceful=True)

    def run(self, suite: Path | str, name: str, *more: str) -> RunFolder:
        """A run on the cluster, to its end."""
        return finished(self.command(suite, name, *more), self.folder / name)

    def add(self, kind: str, gpus: int = 0, path: Path = PROJECT) -> None:
        """One more node, which finds modules in ``path`` first."""
        modules = os.pathsep.join(map(str, (path, PROJECT, PROJECT / "tests", Path(__file__).parent)))
        environment = {"HARNESS_CACHE": str(self.folder / f"cache-{kind}"), "PYTHONPATH": modules}
        head = {} if self.nodes else {"include_dashboard": False, "_system_config": SOON}
        self.nodes[kind] = self.cluster.add_node(
            num_cpus=CORES.get(kind, 1),
            num_gpus=gpus,
            object_store_memory=80_000_000,
            labels={"harness-machine": kind},
            env_vars=environment,
            **head,
        )


@pytest.fixture(scope="session")
def raylets() -> Iterator[Raylets]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'harness[ray]'")
    folder = Path(tempfile.mkdtemp(prefix="hr-", dir="/tmp"))
    (folder / "ray").mkdir()
    os.environ |= {"RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    from ray.cluster_utils import Cluster

    found = Raylets(Cluster(), folder, {})
    for kind in CORES:
        found.add(kind)
    yield found
    found.cluster.shutdown()
    shutil.rmtree(found.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def run_here() -> Callable[..., RunFolder]:
    """A run on this machine alone, to its end."""
    return lambda suite, folder, *more: finished(harness_run(suite, folder, *more), folder)
