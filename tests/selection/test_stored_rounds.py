from __future__ import annotations

from dataclasses import replace

import pytest
from builders import make_row, single, timed
from stored_runs import QUIET, times

from harness.selection.stored_rounds import MOVED, Drift, drift, judge_rounds
from harness.selection.thresholds import rule_of

DECODE, LOAD, MEMORY = "decode_tokens_per_second", "load_seconds", "peak_memory_bytes"
STILL = Drift(1.0)


def judged(metric, base, new, moved=STILL, device="cpu"):
    return judge_rounds(base, new, metric, rule_of(metric, {}), moved, device)


def controlled(readings, metric=DECODE, other=QUIET):
    return make_row(metrics={"control_seconds": timed(readings), metric: timed(other)})


def test_the_drift_is_the_ratio_of_the_medians_of_the_control():
    found = drift([(controlled(QUIET), controlled(times(QUIET, 1.05)))], [DECODE])
    assert found.control == pytest.approx(1.05)
    assert found.reason == ""


def test_the_drift_is_of_all_variants_together():
    rows = [(controlled(QUIET), controlled(times(QUIET, factor))) for factor in (1.0, 1.06, 1.02)]
    assert drift(rows, []).control == pytest.approx(1.02, abs=0.01)


def test_without_a_control_there_is_no_drift():
    assert drift([(make_row(), controlled(QUIET))], [DECODE]) == Drift(None)
    assert drift([], [DECODE]).reason == ""


@pytest.mark.parametrize(("control", "share"), [(1.25, "25%"), (0.8, "20%")])
def test_a_machine_that_moved_says_by_how_much(control, share):
    assert Drift(control).reason == f"the machine itself moved by {share}"
    found = judged(DECODE, timed(QUIET), timed(times(QUIET, 0.5)), Drift(control))
    assert (found.verdict, found.reason) == ("undecided", Drift(control).reason)


def test_a_machine_that_moved_a_little_is_corrected_for():
    assert Drift(1 + MOVED - 0.001).reason == ""
    slower = Drift(1.09)
    rate = judged(DECODE, timed(QUIET), timed(times(QUIET, 1 / 1.09)), slower)
    time = judged(LOAD, timed(QUIET), timed(times(QUIET, 1.09)), slower)
    assert [each.verdict for each in (rate, time)] == ["unchanged", "unchanged"]
    assert [each.ratio.value for each in (rate, time)] == pytest.approx([1.0, 1.0])


def test_memory_and_what_ran_on_a_gpu_are_not_corrected():
    slower = Drift(1.09)
    big = [each * 2**20 for each in QUIET]
    assert judged(MEMORY, timed(big), timed(big), slower).ratio.value == pytest.approx(1.0)
    assert judged(DECODE, timed(QUIET), timed(QUIET), slower, device="cuda").ratio.value == pytest.approx(1.0)


def test_memory_is_judged_whether_the_machine_moved_or_not():
    big = [each * 2**20 for each in QUIET]
    assert judged(MEMORY, timed(big), timed(times(big, 2.0)), Drift(1.5)).verdict == "regressed"


def test_disturbed_rounds_are_left_out_and_counted():
    busy = replace(timed([*QUIET, 10.0, 9.0]), disturbed=frozenset({6, 7}))
    assert judged(DECODE, timed(QUIET), busy).verdict == "unchanged"
    new = make_row(metrics={DECODE: busy, LOAD: busy})
    assert drift([(make_row(), new)], [DECODE]).disturbed == 2


def test_a_disturbed_control_says_nothing():
    busy = replace(timed([*QUIET, *[200.0] * 8]), disturbed=frozenset(range(6, 14)))
    new = make_row(metrics={"control_seconds": busy})
    assert drift([(controlled(QUIET), new)], []).control == 1.0


def test_rounds_that_were_all_disturbed_are_undecided():
    busy = replace(timed(QUIET), disturbed=frozenset(range(6)))
    found = judged(DECODE, timed(QUIET), busy)
    assert (found.verdict, found.reason) == ("undecided", "every round was disturbed")


def test_a_single_reading_is_undecided():
    found = judged(MEMORY, single(2.0**30), single(2.0**31))
    assert (found.verdict, found.reason) == ("undecided", "read once in a run, which gives no interval")
    assert found.ratio.value == pytest.approx(2.0)


@pytest.mark.parametrize("rounds", [2, 3])
def test_few_rounds_are_undecided(rounds):
    found = judged(DECODE, timed(QUIET[:rounds]), timed(times(QUIET[:rounds], 0.1)))
    assert found.verdict == "undecided"
    assert found.reason.startswith(f"{rounds} against {rounds} rounds")


def test_a_reading_of_nothing_is_undecided():
    found = judged(MEMORY, timed(QUIET), timed([0.0] * 6))
    assert (found.verdict, found.reason) == ("undecided", "a reading that is not positive has no ratio")


def test_no_more_blocks_can_be_had_of_stored_runs():
    found = judged(DECODE, timed([90.0, 120.0, 100.0, 80.0, 105.0, 95.0]), timed(QUIET))
    assert (found.verdict, found.more_blocks) == ("undecided", None)
