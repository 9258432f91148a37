from __future__ import annotations

from pathlib import Path

import pytest
from builders import make_record
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.records.record import Fact
from harness.records.store import RecordStore, latest_attempts

FULL_DISK = Path("/dev/full")


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "records.jsonl")


def fact(value: float, task: str = "t"):
    return make_record(task=task, fact=Fact("load_seconds", value=value))


def closing(facts: int, task: str = "t", status: str = "ok"):
    return make_record(task=task, facts=facts, status=status)


def test_an_absent_file_has_no_records(store):
    assert store.read() == []
    assert store.finished() == []


def test_what_is_appended_is_read_in_order(store):
    first, second, third = fact(1.0), fact(2.0), closing(2)
    store.append([first, second])
    store.append([third])
    assert store.read() == [first, second, third]


def test_text_with_line_breaks_of_every_kind_stays_in_its_record(store):
    record = make_record(reason="one\ntwo\r\nthree\x0bfour\u2028five\x85six")
    store.append([record, record])
    assert store.read() == [record, record]


@pytest.mark.parametrize("torn", ['{"schema_version": 1, "run"', "é".encode()[:1], "x" * 200_000])
def test_a_torn_last_line_is_ignored_and_cut_off_by_the_next_append(store, torn):
    store.append([fact(1.0)])
    with store.path.open("ab") as stream:
        stream.write(torn if isinstance(torn, bytes) else torn.encode())
    assert store.read() == [fact(1.0)]
    store.append([fact(2.0)])
    assert store.read() == [fact(1.0), fact(2.0)]


@pytest.mark.parametrize("size", [5, 65536, 65537, 150_000])
def test_a_file_of_nothing_but_a_torn_line_begins_anew(store, size):
    store.path.write_bytes(b"{" * size)
    assert store.read() == []
    store.append([fact(1.0)])
    assert store.read() == [fact(1.0)]


def test_a_whole_last_line_is_not_cut(store):
    store.append([fact(1.0)])
    before = store.path.read_bytes()
    store.append([])
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("bad", [b"not json", b"", b'{"schema_version": 99}', b"[]", b"\xff", b'{"schema_version": 1}'])
def test_another_bad_line_is_an_error_that_names_file_and_line(store, bad):
    store.append([fact(1.0), fact(2.0)])
    first, second = store.path.read_bytes().splitlines()
    store.path.write_bytes(b"\n".join([first, bad, second, b""]))
    with pytest.raises(HarnessError) as error:
        store.read()
    assert str(error.value).startswith(f"{store.path}, line 2: ")


def test_a_bad_last_line_that_is_whole_is_an_error_too(store):
    store.append([fact(1.0)])
    with store.path.open("ab") as stream:
        stream.write(b"not json\n")
    with pytest.raises(HarnessError, match="line 2"):
        store.read()


def test_a_file_in_place_of_the_folder_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = RecordStore(tmp_path / "file" / "records.jsonl")
    with pytest.raises(HarnessError, match=r"cannot write .*records\.jsonl: "):
        store.append([fact(1.0)])


def test_a_folder_in_place_of_the_file_can_be_neither_read_nor_written(tmp_path):
    store = RecordStore(tmp_path)
    with pytest.raises(HarnessError, match="cannot read"):
        store.read()
    with pytest.raises(HarnessError, match="cannot write"):
        store.append([fact(1.0)])


@pytest.mark.skipif(not FULL_DISK.exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_an_error_that_says_so():
    with pytest.raises(HarnessError, match="cannot write /dev/full: No space left"):
        RecordStore(FULL_DISK).append([fact(1.0)])


def test_facts_of_a_task_that_did_not_close_are_ignored():
    assert latest_attempts([fact(1.0), fact(2.0)]) == []


def test_facts_of_a_killed_attempt_do_not_join_the_next_attempt():
    killed, good = [fact(1.0), fact(2.0)], [fact(3.0), closing(1)]
    assert latest_attempts([*killed, *good]) == good


def test_a_retry_replaces_a_failure():
    failure, retry = [closing(0, status="failed")], [fact(1.0), closing(1)]
    assert latest_attempts([*failure, *retry]) == retry


def test_a_failed_retry_replaces_a_success():
    success, retry = [fact(1.0), closing(1)], [closing(0, status="timeout")]
    assert latest_attempts([*success, *retry]) == retry


def test_an_attempt_that_closed_outlives_a_later_one_that_was_killed():
    good = [fact(1.0), closing(1)]
    assert latest_attempts([*good, fact(2.0)]) == good


def test_tasks_keep_the_order_in_which_they_first_closed():
    records = [closing(0, "a", "failed"), fact(1.0, "b"), closing(1, "b"), closing(0, "a")]
    assert latest_attempts(records) == [closing(0, "a"), fact(1.0, "b"), closing(1, "b")]


def test_finished_reads_the_last_attempts_from_the_file(store):
    store.append([fact(1.0), fact(2.0), closing(1), closing(0, "other", "failed"), fact(9.0, "open")])
    assert store.finished() == [fact(2.0), closing(1), closing(0, "other", "failed")]


attempts = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=12)


@given(attempts)
def test_every_task_keeps_exactly_its_last_attempt_that_closed(history):
    written, expected = [], {}
    for number, (task, count, closed) in enumerate(history):
        attempt = [fact(10.0 * number + i, task) for i in range(count)]
        attempt += [closing(count, task)] if closed else []
        written += attempt
        if closed:
            expected[task] = attempt
    assert latest_attempts(written) == [record for attempt in expected.values() for record in attempt]
