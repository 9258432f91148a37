from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import hashing
from harness.records.hashing import code_digest, digest, file_digest, short


def test_a_digest_is_the_sha256_of_canonical_json():
    canonical = b'{"a":[1,"\\u00e9"],"b":null}'
    assert digest({"b": None, "a": [1, "é"]}) == hashlib.sha256(canonical).hexdigest()


@given(st.dictionaries(st.text(), st.integers() | st.text(), min_size=2))
def test_the_order_of_keys_does_not_matter(table):
    assert digest({"nested": dict(reversed(table.items()))}) == digest({"nested": table})


@pytest.mark.parametrize("other", [{"a": [2, 1]}, {"a": [1, 2, 3]}, {"b": [1, 2]}, {"a": ["1", "2"]}, {}])
def test_other_content_has_another_digest(other):
    assert digest(other) != digest({"a": [1, 2]})


def test_what_is_not_json_cannot_be_hashed():
    with pytest.raises(TypeError):
        digest({"path": Path("a")})


def test_a_short_digest_is_the_beginning_of_the_long_one():
    assert short("0123456789abcdef" * 4) == "0123456789abcdef"


def test_a_file_is_hashed_by_its_content(tmp_path):
    content = bytes(range(256)) * 2000
    (tmp_path / "weights").write_bytes(content)
    assert file_digest(tmp_path / "weights") == hashlib.sha256(content).hexdigest()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package of two parts in place of this one; call the fixture's value to hash ``training`` afresh."""
    monkeypatch.setattr(hashing, "PACKAGE", tmp_path)
    for part in ("training", "quality"):
        (tmp_path / part / "inner").mkdir(parents=True)
        (tmp_path / part / "inner" / "code.py").write_text("x = 1\n")

    def hashed(*parts: str) -> str:
        code_digest.cache_clear()
        return code_digest(*parts)

    yield hashed
    code_digest.cache_clear()


def test_code_has_another_digest_when_a_named_part_changes(package, tmp_path):
    before = package("training")
    (tmp_path / "training" / "inner" / "code.py").write_text("x = 2\n")
    assert package("training") != before


def test_code_has_another_digest_when_a_file_is_renamed(package, tmp_path):
    before = package("training")
    (tmp_path / "training" / "inner" / "code.py").rename(tmp_path / "training" / "inner" / "other.py")
    assert package("training") != before


def test_code_has_the_same_digest_when_another_part_changes(package, tmp_path):
    before = package("training")
    (tmp_path / "quality" / "inner" / "code.py").write_text("x = 2\n")
    (tmp_path / "training" / "notes.txt").write_text("not code")
    assert package("training") == before


def test_the_order_in_which_parts_are_named_does_not_matter(package):
    assert package("training", "quality") == package("quality", "training")


def test_the_parts_of_this_package_have_different_digests():
    assert len({code_digest("stats"), code_digest("records"), code_digest("stats", "records")}) == 3
