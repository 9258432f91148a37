"""The audit of dependencies and what CI may do: that they are well-formed. The audit itself needs a network."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def audit() -> configparser.SectionProxy:
    found = configparser.ConfigParser(interpolation=None)
    found.read(ROOT / "tox.ini", encoding="utf-8")
    return found["testenv:audit"]


def test_the_audit_looks_at_every_pin_and_installs_none_of_them():
    command = audit()["commands"].split()
    assert command[0] == "pip-audit"
    assert command[command.index("--requirement") + 1] == "constraints.txt"
    assert {"--no-deps", "--disable-pip"} <= {*command}
    assert audit().getboolean("skip_install")
    assert Requirement(audit()["deps"]).name == "pip-audit"


def test_the_audit_is_documented():
    assert "tox run -e audit" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", PINS)
def test_a_pin_is_one_version_of_one_package_as_the_audit_needs_it(line):
    pin = Requirement(line)
    assert re.fullmatch(r"==[0-9][A-Za-z0-9.]*", str(pin.specifier))
    assert pin.url is None


def test_all_that_the_program_needs_is_pinned():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    needed = {canonicalize_name(Requirement(line).name) for line in [*project["dependencies"], *extras]} - {"harness"}
    assert needed - {canonicalize_name(Requirement(line).name) for line in PINS} == set()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_keeps_no_credentials(workflow):
    text = workflow.read_text(encoding="utf-8")
    parsed = yaml.safe_load(text)
    assert parsed["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in text
    steps = [step for job in parsed["jobs"].values() for step in job["steps"]]
    checkouts = [step for step in steps if str(step.get("uses", "")).startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_no_command_of_a_workflow_has_text_of_an_event_put_into_it(workflow):
    """Titles and names of branches are anybody's; a shell would run them."""
    parsed = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    commands = [str(step.get("run", "")) for job in parsed["jobs"].values() for step in job["steps"]]
    assert [command for command in commands if "${{" in command] == []
