"""What counts as a disturbance, on counts that are made up, and the counts of this machine."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.speed.disturbance import Usage, disturbance, reasons, throttled_seconds, usage

BEFORE = Usage(cores=2, seconds=100.0, own=50.0, busy=400.0, steal=7.0, throttled=3.0)
QUIET = replace(BEFORE, seconds=110.0, own=70.0, busy=420.0)
"""Ten seconds later, in which this process used both cores."""


def test_readings_that_had_the_cores_to_themselves_are_not_disturbed():
    assert disturbance(BEFORE, QUIET) == ()


def test_other_processes_disturb_from_a_twentieth_of_the_core_seconds_on():
    assert disturbance(BEFORE, replace(QUIET, busy=420.9)) == ()
    assert disturbance(BEFORE, replace(QUIET, busy=422.4)) == ("other processes used 12 % of the cores",)


def test_a_hypervisor_that_takes_more_than_a_fiftieth_disturbs():
    assert disturbance(BEFORE, replace(QUIET, steal=7.3)) == ()
    assert disturbance(BEFORE, replace(QUIET, steal=7.6)) == ("the hypervisor took 3 %",)


def test_any_throttling_disturbs():
    assert disturbance(BEFORE, replace(QUIET, throttled=3.02)) == ("throttled by the cgroup for 20 ms",)


def test_a_tick_of_the_clock_is_no_finding_however_short_the_readings():
    short = replace(BEFORE, seconds=100.1, own=50.15, busy=400.19, steal=7.01)
    assert disturbance(BEFORE, short) == ()


def test_all_reasons_are_told_at_once():
    assert len(disturbance(BEFORE, replace(QUIET, busy=423, steal=8, throttled=4))) == 3


def test_several_stretches_of_readings_are_judged_together():
    quiet, busy = QUIET - BEFORE, replace(QUIET, busy=423.0) - BEFORE
    assert reasons(quiet + busy) == ("other processes used 8 % of the cores",)


def test_counters_of_ticks_that_lag_behind_do_not_make_negative_use():
    assert (replace(QUIET, busy=419.0) - BEFORE).others == 0.0


def test_work_of_this_process_and_of_its_children_is_its_own():
    before = usage()
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        pass
    spin = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.3: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    spent = usage() - before
    assert spent.own > 0.35
    assert spent.seconds > 0.5
    assert spent.cores >= 1


@pytest.mark.parametrize(
    ("folder", "line", "stat", "seconds"),
    [
        ("service", "0::/service\n", "usage_usec 5\nthrottled_usec 20000\n", 0.02),
        (".", "0::/not/seen/from/a/container\n", "throttled_usec 20000\n", 0.02),
        ("cpu,cpuacct/service", "3:cpu,cpuacct:/service\n0::/\n", "nr_throttled 1\nthrottled_time 30000000\n", 0.03),
        ("elsewhere", "0::/\n", "throttled_usec 20000\n", 0.0),
        ("service", "0::/service\n", "usage_usec 5\n", 0.0),
    ],
)
def test_throttling_is_read_from_the_cgroup_of_this_process(tmp_path: Path, folder, line, stat, seconds):
    (tmp_path / "root" / folder).mkdir(parents=True)
    (tmp_path / "root" / folder / "cpu.stat").write_text(stat, encoding="ascii")
    (tmp_path / "cgroup").write_text(line, encoding="ascii")
    assert throttled_seconds(tmp_path / "root", tmp_path / "cgroup") == pytest.approx(seconds)
