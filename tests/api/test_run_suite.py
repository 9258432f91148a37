"""Suites run from a real script, which has no ``if __name__ == "__main__":`` and goes on after each run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json, os, signal, sys
import harness

print("begins", file=sys.stderr)
variables, main, steps = dict(os.environ), sys.modules["__main__"], []
wanted = dict(only="gpt2-tiny/torch/*", settings="candidate.gpt2-tiny.training.tokens=8000", rounds=1)


def stop(step):
    if step.label.startswith("score"):
        os.kill(os.getpid(), signal.SIGINT)


try:
    harness.run_suite("smoke", **wanted, progress=stop)
    interrupted = None
except KeyboardInterrupt:
    interrupted = harness.open_run()
left = (interrupted.path / "report.md").exists(), [row.status for row in interrupted.rows()]
resumed = harness.run_suite("smoke", **wanted, progress=steps.append)
threads = harness.run_suite("smoke", **wanted, threads=1, progress=False)
hasty = {**wanted, "fresh": True, "settings": [wanted["settings"], "deadlines.time=0.001"]}
refused = harness.run_suite("smoke", **hasty)
print(json.dumps({
    "left": left,
    "same": resumed.name == interrupted.name,
    "first": [steps[0].label, steps[0].done, steps[0].share],
    "shares": [step.share for step in steps],
    "seconds": [step.seconds_left for step in steps],
    "resumed": [row.status for row in resumed.rows()],
    "threads": [threads.info["environment"]["threads"], [row.status for row in threads.rows()]],
    "refused": [[row.status, row.reason] for row in refused.rows()],
    "command": threads.info["command"],
    "as it was": dict(os.environ) == variables and sys.modules["__main__"] is main,
}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, Any]:
    """What the script prints, and its stderr."""
    folder: Path = tmp_path_factory.mktemp("script")
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "HARNESS_CACHE": str(folder / "cache")}
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, env=environment, capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr}


@pytest.mark.slow
def test_the_script_is_not_begun_again_by_its_workers(told):
    assert told["stderr"].count("begins") == 1


@pytest.mark.slow
def test_an_interrupt_passes_on_and_leaves_the_folder_whole(told):
    report, statuses = told["left"]
    assert report
    assert statuses == ["interrupted"]


@pytest.mark.slow
def test_the_same_call_resumes(told):
    assert told["same"]
    assert told["resumed"] == ["ok"]


@pytest.mark.slow
def test_a_function_is_handed_each_step(told):
    label, done, share = told["first"]
    assert (label, done, share) == ("prepare gpt2-tiny", 0, 0.0)
    assert all(0 <= each <= 1 for each in told["shares"])
    assert told["seconds"][-1] < told["seconds"][0]


@pytest.mark.slow
def test_another_run_in_the_same_process_has_its_own_threads(told):
    assert told["threads"] == [1, ["ok"]]


@pytest.mark.slow
def test_a_task_that_goes_wrong_is_a_row_and_a_line_of_progress(told):
    ((status, reason),) = told["refused"]
    assert (status, reason) == ("timeout", "measuring memory: killed after 0.001 s")
    assert "timeout: killed after 0.001 s" in told["stderr"]


@pytest.mark.slow
def test_the_run_says_how_to_do_the_same_on_the_command_line(told):
    assert told["command"] == (
        "python -m harness run --suite smoke --only 'gpt2-tiny/torch/*' "
        "--set candidate.gpt2-tiny.training.tokens=8000 --rounds 1 --threads 1"
    )


@pytest.mark.slow
def test_the_process_is_left_as_it_was(told):
    assert told["as it was"]
