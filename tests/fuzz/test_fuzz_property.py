"""The property itself finds what it looks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fuzz_property import Kind, tried

from harness.errors import HarnessError


def _of(read) -> Kind:
    return Kind("mine", lambda rng, folder: (folder / "a").write_bytes(rng.randbytes(8)) and None, read)


def test_what_a_reader_raises_is_found(tmp_path: Path):
    assert tried(_of(lambda given, taken: json.loads("[")), 0, tmp_path).broken.startswith("JSONDecodeError")


def test_a_file_that_is_written_elsewhere_is_found(tmp_path: Path):
    def read(given: Path, taken: Path) -> None:
        (tmp_path.parent / "elsewhere").write_text("x")

    assert "elsewhere (open)" in tried(_of(read), 0, tmp_path).broken


def test_a_file_that_is_gone_or_changed_is_found(tmp_path: Path):
    assert "(os.remove)" in tried(_of(lambda given, taken: (given / "a").unlink()), 0, tmp_path).broken


def test_writing_to_the_folder_for_it_and_refusing_in_one_line_are_allowed(tmp_path: Path):
    def read(given: Path, taken: Path) -> None:
        (taken / "b").write_text("x")
        raise HarnessError("a: line 1 is wrong")

    found = tried(_of(read), 0, tmp_path)
    assert found.refused
    assert not found.broken


def test_one_seed_gives_one_input(tmp_path: Path):
    read: list[bytes] = []
    for name in ("one", "two"):
        tried(_of(lambda given, taken: read.append((given / "a").read_bytes())), 7, tmp_path / name)
    assert read[0] == read[1]


@pytest.mark.parametrize(
    "text", ["two\nlines", "a\rb", "\x1b[2J", "x" * 5000, "half \ud800", "tab\t", "separator \u2028 of lines"]
)
def test_an_error_is_one_line_that_a_terminal_can_show(text: str):
    shown = str(HarnessError(text))
    assert len(shown.splitlines()) == 1
    assert shown.isprintable()
    assert len(shown) <= 1000


def test_an_error_of_one_line_stays_as_it_is():
    assert str(HarnessError("no run 'a  b' in é")) == "no run 'a  b' in é"
