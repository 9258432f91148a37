"""A small share of the campaign of bench/kills.py, by the same code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_loses_nothing_and_leaves_nothing(tmp_path: Path):
    command = [sys.executable, "bench/kills.py", "--kills", "4", "--small", "--folder", str(tmp_path / "kills")]
    finished = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=600, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "0 records lost, 0 measurements repeated, 0 corrupt artefacts, 0 differences" in finished.stdout
