from __future__ import annotations

import getpass
import json
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from harness.records.environment import (
    Environment,
    available_cores,
    conditions,
    installed_version,
    known_instructions,
    memory_limit,
    snapshot,
    without_home,
)

MACHINE = Environment(
    cpu="Example CPU",
    isa=("avx2", "fma"),
    cores=4,
    memory_bytes=2**33,
    system="Linux 6.1 x86_64",
    python="3.12.1",
    versions={"torch": "2.6.0"},
    threads=4,
)


@pytest.mark.parametrize("told", [{"commit": "abc123"}, {"dirty": True}, {"governor": "performance"}])
def test_commit_and_governor_are_told_but_make_no_other_machine(told):
    assert replace(MACHINE, **told).hash == MACHINE.hash


@pytest.mark.parametrize(
    "other",
    [
        {"cpu": "Another CPU"},
        {"isa": ("avx2",)},
        {"cores": 8},
        {"memory_bytes": 2**34},
        {"system": "Linux 6.2 x86_64"},
        {"python": "3.13.0"},
        {"versions": {"torch": "2.7.0"}},
        {"threads": 2},
        {"gpus": ("Example GPU, 550.1, 80 GiB",)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_hardware_versions_or_threads_make_another_machine(other):
    assert replace(MACHINE, **other).hash != MACHINE.hash


def test_an_environment_goes_through_json_with_its_hash():
    found = json.loads(json.dumps(MACHINE.as_dict()))
    assert found["hash"] == MACHINE.hash
    assert found["isa"] == ["avx2", "fma"]
    assert found["versions"] == {"torch": "2.6.0"}


def test_this_machine_is_the_same_in_two_snapshots():
    assert snapshot(1).hash == snapshot(1).hash


def test_a_snapshot_says_how_many_threads_are_used():
    assert snapshot(3).threads == 3
    assert snapshot(3).hash != snapshot(1).hash


def test_a_snapshot_names_the_installed_versions():
    assert snapshot(1).versions["numpy"] == installed_version("numpy")


def test_neither_host_nor_user_nor_home_nor_variables_are_stored(monkeypatch):
    names = [socket.gethostname(), getpass.getuser(), str(Path.home())]
    for variable in ("USER", "LOGNAME", "HOSTNAME", "HF_TOKEN", "HOME"):
        monkeypatch.setenv(variable, f"marker-of-{variable}")
    text = json.dumps([snapshot(1).as_dict(), conditions()])
    assert "marker-of-" not in text
    for name in names:
        assert not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text), name


def test_conditions_are_plain_values_for_json():
    found = json.loads(json.dumps(conditions(), allow_nan=False))
    assert found["available_memory_bytes"] > 0
    assert found["unix_time"] > 1.7e9


def test_this_process_has_a_core_and_memory():
    assert available_cores() >= 1
    assert memory_limit() > 2**20


def test_a_package_that_is_not_installed_has_no_version():
    assert installed_version("no-such-package-of-harness") is None


def test_the_home_folder_is_written_without_the_name_of_its_user(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert without_home("no file /home/somebody/a, /home/somebody/b") == "no file ~/a, ~/b"


def test_a_home_that_is_the_root_folder_leaves_paths_alone(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert without_home("no file /etc/a") == "no file /etc/a"


@pytest.mark.parametrize("flag", ["avx512_vnni", "avx_vnni", "avx_vnni_int8", "avx512_bf16", "amx_tile", "amx_int8"])
def test_instructions_for_low_precision_are_known(flag):
    assert known_instructions({"sse2", flag, "avx2"}) == ("avx2", flag)


def test_an_instruction_is_known_by_either_spelling():
    assert known_instructions({"avx512vnni"}) == ("avx512_vnni",)
