"""However long a file of records is, reading it takes the memory of what is kept."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import document_sums, make_subject, make_task

from harness.errors import HarnessError
from harness.records import store as store_module
from harness.records.record import Fact, Record
from harness.records.rows import make_rows
from harness.records.run_folder import RunFolder
from harness.records.sharing import Sharing, for_reports
from harness.records.store import RecordStore, append_lines, whole_lines

SPEED = "decode_tokens_per_second"
MIB = 2**20


def attempt(task: int = 0, readings: int = 300) -> list[Record]:
    """A timing with so many raw readings."""
    samples = [100.0 + number / 7 for number in range(readings)]
    return make_task("time", make_subject(), Fact(SPEED, value=100.0, samples=samples), round=task)


def write(path: Path, attempts: list[list[Record]]) -> RecordStore:
    """A file of records, not synced one by one, which would take long."""
    path.write_text("".join(record.to_json() + "\n" for each in attempts for record in each), encoding="utf-8")
    return RecordStore(path)


def peak(act: Callable[[], Any]) -> int:
    """Bytes that Python held at most while it did something."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_attempts_that_later_ones_replace_take_no_memory(tmp_path):
    once, often = write(tmp_path / "once", [attempt()]), write(tmp_path / "often", [attempt()] * 150)
    assert often.path.stat().st_size > 0.7 * MIB
    assert often.finished() == once.finished()
    assert peak(often.finished) < peak(once.finished) + 0.1 * MIB


def test_raw_readings_take_no_memory_in_a_report(tmp_path):
    few, many = ([attempt(task, size) for task in range(60)] for size in (1, 1000))
    short, long = write(tmp_path / "short", few), write(tmp_path / "long", many)
    assert long.path.stat().st_size > short.path.stat().st_size + 0.7 * MIB
    assert peak(lambda: long.finished(for_reports)) < peak(lambda: short.finished(for_reports)) + 0.2 * MIB


@pytest.mark.parametrize("read", [RecordStore.closings, RecordStore.statuses])
def test_what_became_of_tasks_is_told_without_holding_their_facts(tmp_path, read):
    few, many = ([[*attempt(task, 200)[:1] * size, attempt(task)[1]] for task in range(20)] for size in (1, 15))
    short, long = write(tmp_path / "short", few), write(tmp_path / "long", many)
    assert long.path.stat().st_size > short.path.stat().st_size + 0.7 * MIB
    assert peak(lambda: read(long)) < peak(lambda: read(short)) + 0.1 * MIB


def test_closings_are_the_last_ones_without_what_workers_printed(tmp_path):
    failed, other = make_task("score", make_subject(), status="failed"), make_task("memory", make_subject())
    failed[-1] = replace(failed[-1], stderr_tail="Traceback")
    store = RecordStore(tmp_path / "records.jsonl")
    store.append([*other, *make_task("score", make_subject(), Fact("parameters", value=1.0)), *failed])
    assert store.closings() == [*other, *make_task("score", make_subject(), status="failed")]
    assert list(store.statuses().values()) == ["ok", "failed"]


def test_closings_give_the_rows_of_a_run_their_status(tmp_path):
    run = RunFolder(tmp_path, {})
    good, bad = make_subject("a/torch/fp32/cpu"), make_subject("b/torch/fp32/cpu")
    for kind in ("score", "memory"):
        run.store.append(make_task(kind, good, Fact("parameters", value=1.0)))
    run.store.append([*make_task("time", good, round=0), *make_task("score", bad, status="timeout", reason="slow")])
    rows = [(row.variant, row.status, row.reason) for row in make_rows(run.closings())]
    assert rows == [(row.variant, row.status, row.reason) for row in make_rows(run.records())]
    assert [status for _, status, _ in rows] == ["ok", "timeout"]


def test_records_that_share_their_parts_are_equal_to_those_that_were_written(tmp_path):
    written = [record for task in range(3) for record in attempt(task, 3)]
    read = write(tmp_path / "records.jsonl", [written]).finished()
    assert read == written
    assert len({id(record.subject) for record in read}) == len({id(record.run) for record in read}) == 1
    assert len({id(record.fact.protocol) for record in read if record.fact}) == 1


def test_protocols_that_differ_are_not_shared():
    records = [make_task("score", make_subject(), Fact(SPEED, protocol={"n": n}))[0] for n in (1, 1.0, True)]
    shared = [Sharing().share(replace(record)) for record in records]
    assert [repr(record.fact.protocol["n"]) for record in shared] == ["1", "1.0", "True"]


@pytest.mark.parametrize(
    ("metric", "samples", "kept"),
    [
        (SPEED, [1.0, 2.0], False),
        ("decode_joules_per_token", [{"seconds": 1.0}], False),
        ("control_seconds", [1.0, 2.0], True),
        ("sweep", [{"batch_size": 1}], True),
        ("validation_loss", [{"loss": 3.0}], True),
        ("perplexity", document_sums([230.0]), True),
    ],
)
def test_reports_keep_the_samples_that_they_use(metric, samples, kept):
    fact, closing = make_task("time", make_subject(), Fact(metric, value=1.0, samples=samples))
    assert for_reports(fact).fact == Fact(metric, value=1.0, samples=samples if kept else [])
    assert for_reports(replace(closing, stderr_tail="Traceback")) == closing


def test_a_run_leaves_raw_readings_to_its_store(tmp_path):
    run = RunFolder(tmp_path, {})
    run.store.append(attempt(readings=3))
    assert [record.fact.samples for record in run.records() if record.fact] == [[]]
    assert run.store.finished() == attempt(readings=3)


@pytest.fixture
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LONGEST_LINE", 100)


@pytest.mark.parametrize("length", [100, 101, 5000])
def test_a_line_that_is_too_long_is_an_error_that_names_file_and_line(tmp_path, short_lines, length):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"short\n" + b"x" * length + b"\nshort\n")
    with pytest.raises(HarnessError, match=r"records\.jsonl, line 2: a line is longer than 100 bytes"):
        list(whole_lines(path))


@pytest.mark.parametrize("length", [99, 100, 101, 5000])
def test_a_torn_line_is_ignored_however_long_it_is(tmp_path, short_lines, length):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"x" * 99 + b"\n" + b"x" * length)
    assert list(whole_lines(path)) == [(1, b"x" * 99)]


def test_a_line_that_no_reader_would_take_is_not_written(tmp_path, short_lines):
    path = tmp_path / "records.jsonl"
    append_lines(path, ["x" * 99])
    with pytest.raises(HarnessError, match=r"cannot write .*: a record of 101 bytes is longer than 100 bytes"):
        append_lines(path, ["x" * 100])
    assert list(whole_lines(path)) == [(1, b"x" * 99)]
