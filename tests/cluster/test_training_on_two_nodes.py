"""Two of torchrun's agents, with a cache each and a storage, train one checkpoint as two nodes would."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.candidates.checkpoint import open_checkpoint

pytestmark = pytest.mark.slow

ARGUMENTS = ("train", "gpt2-tiny", "--suite", "smoke", "--set", "training.max_steps=6", "--threads", "1")


def environment(cache: Path, storage: Path | None) -> dict[str, str]:
    """Of a node."""
    plain = {name: value for name, value in os.environ.items() if name != "HARNESS_STORAGE"}
    project = str(Path(__file__).parents[2])
    shared = {"HARNESS_STORAGE": str(storage)} if storage else {}
    return plain | shared | {"HARNESS_CACHE": str(cache), "ACCELERATE_USE_CPU": "true", "PYTHONPATH": project}


def train_on_two(caches: list[Path], storage: Path | None) -> list[tuple[str, str]]:
    """What the commands of two nodes wrote to stdout and stderr."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend"]
    command = [*agent, "c10d", "--rdzv-endpoint", f"localhost:{port}", "-m", "harness", *ARGUMENTS]
    nodes = [
        subprocess.Popen(
            command, env=environment(cache, storage), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for cache in caches
    ]
    try:
        told = [node.communicate(timeout=180) for node in nodes]
    finally:
        for node in nodes:
            node.terminate()  # an agent ends its workers then
            node.wait()
    assert [node.returncode for node in nodes] == [0, 0], told
    return told


def checkpoints(cache: Path) -> list[Path]:
    """The folders of checkpoints in a cache."""
    return sorted(path for path in (cache / "checkpoints").glob("*") if path.is_dir())


def test_a_checkpoint_of_two_nodes_is_in_both_caches_and_on_any_third_machine(tmp_path: Path):
    caches, storage = [tmp_path / "one", tmp_path / "two"], tmp_path / "storage"
    told = train_on_two(caches, storage)
    found = [open_checkpoint(folder, "causal") for cache in caches for folder in checkpoints(cache)]
    assert len(found) == 2
    assert found[0].weights_hash == found[1].weights_hash
    assert sorted("3,072 tokens seen" in out for out, _ in told) == [False, True]
    assert not [left for cache in caches for left in (cache / "unfinished").iterdir()]

    third = tmp_path / "three"
    command = [sys.executable, "-m", "harness", *ARGUMENTS]
    done = subprocess.run(command, env=environment(third, storage), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "loss" not in done.stderr  # nothing was trained
    assert open_checkpoint(checkpoints(third)[0], "causal").weights_hash == found[0].weights_hash


def test_without_a_storage_the_other_node_says_where_the_checkpoint_is(tmp_path: Path):
    caches = [tmp_path / "one", tmp_path / "two"]
    told = train_on_two(caches, None)
    assert sorted(len(checkpoints(cache)) for cache in caches) == [0, 1]
    for cache, (_, said) in zip(caches, told, strict=True):
        assert ("on the first process's machine alone" in said) == (not checkpoints(cache))
