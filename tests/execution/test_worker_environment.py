from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.execution.environment import worker_environment


def test_onnxruntime_tells_nobody_and_leaves_no_file(tmp_path: Path):
    """Where it does it keeps the number of its session in a file in TMPDIR."""
    environment = {**os.environ, **worker_environment(1, offline=False), "TMPDIR": str(tmp_path)}
    environment.pop("CI", None)  # which would silence it too
    subprocess.run([sys.executable, "-c", "import onnxruntime"], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
