"""Blocks as they are stored."""

from __future__ import annotations

import json

import pytest
from builders import a_block

from harness.errors import HarnessError
from harness.records.blocks import Block, BlockStore


@pytest.fixture
def store(tmp_path):
    """A store of two blocks."""
    found = BlockStore(tmp_path)
    found.append(a_block(0))
    found.append(
        a_block(1, disturbed=("throttled",), order=("new", "base", "again"), turns=20, passes=3, stage="confirm")
    )
    return found


def test_blocks_come_back_as_they_were(store):
    assert store.read() == [
        a_block(0),
        a_block(1, disturbed=("throttled",), order=("new", "base", "again"), turns=20, passes=3, stage="confirm"),
    ]


def test_a_folder_without_blocks_has_none(tmp_path):
    assert BlockStore(tmp_path).read() == []


def test_each_block_is_a_json_object_on_a_line(store):
    lines = store.path.read_text().splitlines()
    assert [json.loads(line)["schema_version"] for line in lines] == [1, 1]


def test_a_torn_last_line_is_ignored(store):
    store.path.write_text(store.path.read_text() + '{"schema_version": 1, "vari')
    assert [block.number for block in store.read()] == [0, 1]


def test_a_block_after_a_torn_line_is_whole(store):
    store.path.write_text(store.path.read_text() + '{"schema_version": 1, "vari')
    store.append(a_block(2))
    assert [block.number for block in store.read()] == [0, 1, 2]


@pytest.mark.parametrize(
    "line",
    ["{", "", "[]", "null", "{}", '{"schema_version": 2}', '{"schema_version": 1, "variant": "mini"}', '"text"'],
)
def test_a_damaged_line_is_named(store, line):
    first, second = store.path.read_text().splitlines()
    store.path.write_text("\n".join([first, line, second]) + "\n")
    with pytest.raises(HarnessError, match=r"blocks\.jsonl, line 2: "):
        store.read()


def test_a_block_with_a_field_that_is_not_known_is_named(store):
    body = json.loads(store.path.read_text().splitlines()[0]) | {"colour": "red"}
    store.path.write_text(json.dumps(body) + "\n")
    with pytest.raises(HarnessError, match=r"line 1: .*colour"):
        store.read()


def test_a_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(HarnessError, match=r"cannot write .*blocks\.jsonl: No such file"):
        BlockStore(tmp_path / "gone").append(a_block())


def test_the_metrics_of_a_block_are_those_that_all_arms_have():
    both = {"load_seconds": 1.0, "decode_tokens_per_second": 2.0}
    assert a_block(base=both, new={"decode_tokens_per_second": 2.0}).metrics == ("decode_tokens_per_second",)
    assert a_block(base=both).metrics == ("load_seconds", "decode_tokens_per_second")


def test_a_block_without_arms_has_no_metrics():
    assert Block("mini", 0, {}).metrics == ()
