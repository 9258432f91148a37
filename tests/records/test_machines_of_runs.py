"""The machines of a run, and records and rows that say which kind they are of."""

from __future__ import annotations

import json

import pytest
from builders import make_record, make_subject, make_task, timed

from harness.records.machines import instructions, machines_of
from harness.records.record import Fact, Record, Subject
from harness.records.roofline import machine_limits
from harness.records.row_frame import row_frame
from harness.records.rows import make_rows

SMALL, LARGE = "mini/torch/fp32/cpu@small", "mini/torch/fp32/cpu@large"
INFO = {
    "environment": {"hash": "env-0", "isa": ["sse"]},
    "machines": [
        {"hash": "env-1", "cpu": "Small CPU", "isa": ["avx2"], "kind": "small", "nodes": 2},
        {"hash": "env-2", "cpu": "Large CPU", "isa": ["avx2", "avx512_vnni"], "kind": "large", "nodes": 1},
        {"hash": "env-3", "cpu": "Other CPU", "isa": ["avx2", "fma"], "kind": "large", "nodes": 1},
    ],
}


def test_a_record_keeps_its_kind():
    record = make_record(make_subject(SMALL))
    assert record.subject.machine == "small"
    assert Record.from_json(record.to_json()) == record


def test_a_record_that_was_stored_before_there_were_kinds_has_none():
    body = json.loads(make_record().to_json())
    del body["subject"]["machine"]
    assert Record.from_json(json.dumps(body)) == make_record()
    assert Record.from_json(json.dumps(body)).subject.machine == ""


def test_a_kind_that_is_no_text_is_refused():
    body = json.loads(make_record().to_json())
    body["subject"]["machine"] = 3
    with pytest.raises(ValueError, match=r"'subject\.machine' must be a text"):
        Record.from_json(json.dumps(body))


@pytest.mark.parametrize(("machine", "at", "place"), [("", "", "cpu"), ("small", "@small", "cpu@small")])
def test_the_place_of_a_subject_is_its_device_and_its_kind(machine, at, place):
    subject = Subject("v", "mini", "causal", "trained", device="cpu", machine=machine)
    assert (subject.at, subject.place) == (at, place)


def limits(place: str, bandwidth: float) -> list[Record]:
    device, _, kind = place.partition("@")
    subject = Subject(f"machine/{place}", "", "", "", device=device, machine=kind)
    return make_task("limits", subject, Fact("read_bandwidth", value=bandwidth))


def measured(variant: str, speed: float) -> list[Record]:
    subject = make_subject(variant)
    return [
        *make_task("score", subject, Fact("step_bytes", value=1e6)),
        *make_task("memory", subject),
        *make_task("time", subject, Fact("decode_tokens_per_second", value=speed), round=0),
    ]


def test_limits_are_those_of_a_device_on_a_kind_of_machine():
    records = [*limits("cpu@small", 1e9), *limits("cpu@large", 4e9), *limits("cpu", 2e9)]
    assert machine_limits(records) == {
        "cpu@small": {"read_bandwidth": 1e9},
        "cpu@large": {"read_bandwidth": 4e9},
        "cpu": {"read_bandwidth": 2e9},
    }


def test_a_row_is_held_against_the_limits_of_its_kind_alone():
    records = [*limits("cpu@small", 1e9), *limits("cpu@large", 4e9), *measured(SMALL, 500.0), *measured(LARGE, 500.0)]
    found = {row.variant: row.value("decode_fraction_of_limit") for row in make_rows(records)}
    assert found == pytest.approx({SMALL: 0.5, LARGE: 0.125})


def test_a_row_without_limits_of_its_kind_has_no_fraction():
    (row,) = make_rows([*limits("cpu", 1e9), *measured(SMALL, 500.0)])
    assert row.value("decode_fraction_of_limit") is None


def test_a_frame_of_rows_has_the_kind():
    assert list(row_frame(make_rows([*measured(SMALL, 5.0), *measured("mini/torch/fp32/cpu", 5.0)]))["machine"]) == [
        "small",
        "",
    ]


def test_the_machines_of_a_run_on_a_cluster_are_those_that_it_lists():
    found = machines_of(INFO)
    assert [(each.hash, each.kind, each.nodes) for each in found] == [
        ("env-1", "small", 2), ("env-2", "large", 1), ("env-3", "large", 1),
    ]  # fmt: skip
    assert found[0].environment["cpu"] == "Small CPU"


def test_the_machine_of_another_run_is_the_one_it_was_started_on():
    (found,) = machines_of({"environment": INFO["environment"]})
    assert (found.hash, found.kind, found.nodes) == ("env-0", "", 1)
    assert [each.environment for each in machines_of({})] == [{}]


@pytest.mark.parametrize(("kind", "names"), [("small", ["avx2"]), ("large", ["avx2"]), ("", ["sse"])])
def test_the_instructions_of_a_kind_are_those_that_all_its_machines_have(kind, names):
    assert instructions(INFO, kind) == names


def test_readings_of_kinds_stay_apart():
    rows = make_rows([*measured(SMALL, 5.0), *measured(LARGE, 50.0)])
    assert [row.metrics["decode_tokens_per_second"].rounds for row in rows] == [timed([5.0]).rounds, {0: 50.0}]
