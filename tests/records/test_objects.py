"""Objects in a place that several machines share."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.records.objects import Objects
from harness.records.privacy import without_private


def test_what_is_written_is_read_and_listed_until_it_is_removed(location: str):
    here, there = Objects.at(location), Objects.at(location)
    assert (here.read("a/b"), here.size("a/b"), here.names("a"), here.names("")) == (None, None, [], [])
    here.write(b"text", "a/b")
    here.write(b"", "a/empty")
    assert (there.read("a/b"), there.size("a/b"), there.names("a")) == (b"text", 4, ["b", "empty"])
    assert there.names("") == ["a"]
    there.write(b"other", "a/b")
    assert here.read("a/b") == b"other"
    there.remove("a/b")
    assert (here.read("a/b"), here.names("a")) == (None, ["empty"])


def test_what_is_being_written_is_not_listed(shared: Path):
    Objects.at(str(shared)).write(b"text", "a/b")
    (shared / "a" / ".0123.part").write_bytes(b"te")
    assert Objects.at(str(shared)).names("a") == ["b"]


def test_a_place_has_one_identity_for_all_who_see_it(location: str, tmp_path: Path):
    first = Objects.at(location).identity()
    assert len(first) == 32
    assert Objects.at(location).identity() == first
    assert Objects.at(str(tmp_path / "another")).identity() != first


def test_a_sound_place_passes_its_check_and_keeps_nothing_of_it(location: str):
    objects = Objects.at(location)
    objects.check()
    assert objects._files.find(objects._root) == []


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("nonsense://bucket", "Protocol not known: nonsense"),
        ("  ", "no folder and no address is given"),
        pytest.param(
            "s3://bucket/prefix",
            "Install s3fs",
            marks=pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed"),
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_told_in_one_line(location: str, reason: str):
    with pytest.raises(HarnessError, match=f"^cannot use the storage {location}: {reason}[^\n]*$"):
        Objects.at(location).check()


def test_a_file_where_the_folder_should_be_is_told_by_the_check(shared: Path):
    shared.write_text("")
    with pytest.raises(
        HarnessError,
        match=f"^cannot use the storage {re.escape(without_private(str(shared)))}: a file is where a folder should be$",
    ):
        Objects.at(str(shared)).check()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_is_read_only_is_told_by_the_check(shared: Path):
    shared.mkdir(mode=0o500)
    with pytest.raises(
        HarnessError, match=f"^cannot use the storage {re.escape(without_private(str(shared)))}: Permission denied$"
    ):
        Objects.at(str(shared)).check()


def test_logins_in_an_address_are_not_shown():
    with pytest.raises(HarnessError) as told:
        Objects.at("nonsense://jane:hunter22@server/folder")
    assert "server/folder" in str(told.value)
    assert "hunter22" not in str(told.value)
