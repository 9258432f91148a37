"""Two real processes (torchrun, gloo) that share the steps of a run train as one does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import shared_steps
import torch
from shared_steps import CASES, TOLD, Found, trained

from harness.candidates.checkpoint import Checkpoint

pytestmark = pytest.mark.slow

TYPES = ("float32", "float64")


@pytest.fixture(scope="module")
def checkpoints(tiny_checkpoints: dict[str, Checkpoint], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of each family."""
    folder = tmp_path_factory.mktemp("families")
    for family, checkpoint in tiny_checkpoints.items():
        (folder / family).symlink_to(checkpoint.path)
    return folder


@pytest.fixture(scope="module")
def shared(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Found]]:
    """What each of two processes found, by case."""
    out = tmp_path_factory.mktemp("shared")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(shared_steps.__file__)
    folders = json.dumps([str(program.parents[1]), *sys.path])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    done = subprocess.run(
        [*launcher, str(program), folders, str(checkpoints), str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(out / f"{rank}.pt", weights_only=True) for rank in range(2)]


def furthest(found: Found, expected: Found) -> tuple[float, float]:
    """The largest difference of a loss, relative, and of a weight."""
    assert len(found["losses"]) == len(expected["losses"]) == TOLD
    losses = [abs(a - b) / b for a, b in zip(found["losses"], expected["losses"], strict=True)]
    weights = [float((found["weights"][name] - each).abs().max()) for name, each in expected["weights"].items()]
    return max(losses), max(weights)


@pytest.mark.parametrize(
    "case", [f"{name} {dtype}" for name in CASES for dtype in ("float32", "float64")] + ["dropout"]
)
def test_both_processes_end_with_the_same_weights(shared: list[dict[str, Found]], case: str):
    first, second = shared
    assert furthest(first[case], second[case]) == (0, 0)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_compute_bit_for_bit_what_one_does_in_two_parts(checkpoints, shared, name: str):
    assert furthest(shared[0][f"{name} float32"], trained(checkpoints, accumulate=2, **CASES[name])) == (0, 0)


def test_dropout_too_is_that_of_one_process_in_two_parts(checkpoints, shared):
    assert furthest(shared[0]["dropout"], trained(checkpoints, accumulate=2, dropout=0.2)) == (0, 0)


@pytest.mark.parametrize("name", CASES)
def test_the_curve_is_that_of_one_process_up_to_rounding(checkpoints, shared, name: str):
    """In fp64 too, where whatever is not rounding would stay. So few steps keep losses within two units in the last
    place, which are 4e-16 and 2e-7 of them; the limits are some ten times as far."""
    for dtype, limit in (("float64", 1e-14), ("float32", 2e-6)):
        losses, _ = furthest(shared[0][f"{name} {dtype}"], trained(checkpoints, dtype=dtype, **CASES[name]))
        assert losses < limit, dtype


def test_two_processes_in_two_parts_are_one_process_up_to_rounding(checkpoints, shared):
    losses, _ = furthest(shared[0]["in parts"], trained(checkpoints, dtype="float64"))
    assert losses < 1e-14


def test_a_killed_run_goes_on_bit_for_bit_where_another_machine_has_its_state(shared):
    for each in shared:
        assert furthest(each["resumed"], each["AdamW float32"]) == (0, 0)


def test_processes_that_would_train_different_things_are_all_told(shared):
    for each in shared:
        assert each["refused"].startswith("the processes would train 'mine' from different things")
