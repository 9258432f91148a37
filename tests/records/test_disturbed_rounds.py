"""Rounds that were disturbed are marked, and kept."""

from __future__ import annotations

from builders import make_subject, make_task

from harness.records.record import Fact
from harness.records.rows import make_rows

SUBJECT = make_subject()


def timings(*disturbed: list[str]):
    records = make_task("variant", SUBJECT)
    for number, reasons in enumerate(disturbed):
        records += make_task("load", SUBJECT, Fact("load_cold_seconds", 1.0), round=number)
        fact = Fact("decode_tokens_per_second", 100.0 + number)
        records += make_task("time", SUBJECT, fact, round=number, conditions={"disturbed": reasons})
    return make_rows(records)[0].metrics


def test_rounds_whose_readings_were_disturbed_are_marked_and_stay_in_the_estimate():
    value = timings([], ["the hypervisor took 3 %"], [])["decode_tokens_per_second"]
    assert value.disturbed == {1}
    assert value.rounds == {0: 100.0, 1: 101.0, 2: 102.0}
    assert value.estimate.n == 3


def test_quiet_rounds_are_not_marked():
    assert timings([], [])["decode_tokens_per_second"].disturbed == frozenset()


def test_what_was_not_measured_by_the_disturbed_worker_is_not_marked():
    assert timings(["the hypervisor took 3 %"])["load_cold_seconds"].disturbed == frozenset()


def test_fractions_of_the_limit_are_as_disturbed_as_their_speed():
    records = make_task("limits", SUBJECT, Fact("read_bandwidth", 1e9))
    records += make_task("score", SUBJECT, Fact("step_bytes", 1e6))
    records += make_task(
        "time", SUBJECT, Fact("decode_tokens_per_second", 500.0), round=0, conditions={"disturbed": ["throttled"]}
    )
    (row,) = make_rows(records)
    assert row.metrics["decode_fraction_of_limit"].disturbed == {0}
