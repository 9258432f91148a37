"""The workflow that users copy: it may only read, has the history that it needs, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / ".github" / "workflows" / "benchmarks.yml"
DOCUMENT = ROOT / "docs" / "ci.md"
COMMAND = re.compile(r"(?m)(?:^\s*|run: |`)harness (?P<verb>[a-z]+)(?P<rest>[^\n|&;`]*)")
"""On a line of its own, or as code within one."""


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def steps(workflow) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def step_of(steps: list[dict[str, Any]], action: str) -> dict[str, Any]:
    return next(step for step in steps if step.get("uses", "").startswith(f"actions/{action}@"))


def commands(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """The verbs that are called in a text, each with the long options that it is given."""
    joined = text.replace("\\\n", " ")
    return [(found["verb"], tuple(re.findall(r"--[a-z][a-z-]*", found["rest"]))) for found in COMMAND.finditer(joined)]


def test_it_runs_on_pull_requests_pushes_to_main_and_by_hand(workflow):
    events = workflow[True]  # YAML 1.1 takes the key "on" for a truth value
    assert set(events) == {"pull_request", "push", "workflow_dispatch"}
    assert events["push"] == {"branches": ["main"]}


def test_it_may_only_read_and_knows_no_secret(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())
    assert "secrets" not in FILE.read_text(encoding="utf-8")
    assert "github.token" not in FILE.read_text(encoding="utf-8")


def test_the_whole_history_is_there_and_no_credentials_stay(steps):
    assert step_of(steps, "checkout")["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_actions_are_pinned_to_a_major_version(steps):
    actions = [step["uses"] for step in steps if "uses" in step]
    assert len(actions) == 4
    assert [action for action in actions if not re.fullmatch(r"actions/[a-z-]+@v\d+", action)] == []


def test_no_expression_is_pasted_into_a_shell(steps):
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []


def test_every_job_ends_in_time_and_pull_requests_replace_their_older_checks(workflow):
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    assert set(workflow["concurrency"]) == {"group", "cancel-in-progress"}


def test_it_compares_with_the_base_and_shows_the_verdicts_of_a_failure_too(workflow, steps):
    assert "github.event.pull_request.base.sha" in workflow["jobs"]["ab"]["env"]["BASE"]
    compare = next(step for step in steps if "harness ab" in step.get("run", ""))
    assert '"$BASE"' in compare["run"]
    shown = next(step for step in steps if "GITHUB_STEP_SUMMARY" in step.get("run", ""))
    kept = step_of(steps, "upload-artifact")
    assert steps.index(compare) < steps.index(shown) < steps.index(kept)
    assert shown["if"] == kept["if"] == "${{ !cancelled() }}"


def test_it_installs_what_constraints_pin_with_torch_for_cpus(steps):
    install = next(step["run"] for step in steps if "pip install" in step.get("run", ""))
    assert "-c constraints.txt -e ." in install
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in install


def test_the_cache_of_checkpoints_follows_the_suites(steps):
    cache = step_of(steps, "cache")["with"]
    assert cache["path"] == "~/.cache/harness"
    assert "harness/suites/*.toml" in cache["key"]


@pytest.mark.parametrize("file", [FILE, DOCUMENT], ids=["the workflow", "docs/ci.md"])
def test_every_command_and_option_exists(harness, file: Path):
    called = set(commands(file.read_text(encoding="utf-8")))
    assert "ab" in {verb for verb, _ in called}
    missing = []
    for verb in sorted({verb for verb, _ in called}):
        shown = harness(verb, "--help")
        if shown.returncode:
            missing.append(verb)
            continue
        options = {option for name, given in called if name == verb for option in given}
        missing += [f"{verb} {option}" for option in sorted(options) if option not in shown.stdout]
    assert missing == []
