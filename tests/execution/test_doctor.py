from __future__ import annotations

import json
import os
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import pytest

from harness.engines.catalogue import EngineKind
from harness.execution import doctor
from harness.execution.doctor import Diagnosis, diagnose, engine_findings, extra_findings, hub_finding, storage_finding
from harness.execution.findings import Finding, SystemFiles, cpu_list, whole_number
from harness.execution.machine import machine_findings, usable_cores
from harness.execution.machine_state import state_findings
from harness.execution.noise import blocks_for, measure_noise, noise_findings, summarise
from harness.execution.program_end import scratch_kept

FLAGS = "fpu avx avx2 fma f16c avx512_vnni"
MACHINE = {
    "proc/cpuinfo": f"processor\t: 0\nmodel name\t: Example 9000\nflags\t\t: {FLAGS}\n\nprocessor\t: 1",
    "proc/self/status": "Name:\tpython\nCpus_allowed_list:\t0-3\n",
    "proc/self/cgroup": "0::/\n",
    "proc/loadavg": "0.10 0.20 0.30 1/100 4711",
    "proc/stat": "cpu  10000 0 10000 500000 0 0 0 10 0 0\ncpu0 1 1 1 1",
    "proc/meminfo": "MemTotal: 33554432 kB\nMemAvailable: 16777216 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB",
    "proc/sys/vm/drop_caches": "0",
    "sys/devices/system/cpu/online": "0-3",
    **{f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": str(cpu) for cpu in range(4)},
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "1",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "sys/class/powercap/intel-rapl:0/energy_uj": "123",
    "sys/fs/cgroup/cpu.max": "max 100000",
    "sys/fs/cgroup/cpu.stat": "usage_usec 5\nnr_periods 0\nnr_throttled 0",
}
"""A quiet machine of four cores, set up for measuring."""

Findings = Callable[..., dict[str, Finding]]


@pytest.fixture
def findings(tmp_path: Path) -> Findings:
    """What is found on the quiet machine with some files changed, or left out where they are None, by name."""

    def find(changed: dict[str, str | None] | None = None, environ=None, gpus=(), resolution=1e-9):
        for path, text in {**MACHINE, **(changed or {})}.items():
            if text is not None:
                file = tmp_path / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        files = SystemFiles(tmp_path)
        found = machine_findings(files, environ or {}, gpus, resolution) + state_findings(files)
        return {each.name: each for each in found}

    return find


def test_a_quiet_machine_needs_no_advice(findings: Findings):
    found = findings(gpus=("Example GPU, 550.1, 80 GiB",))
    assert {name: each for name, each in found.items() if each.status != "ok" or each.advice} == {}
    assert found["model"].found == "Example 9000"
    assert found["instructions"].found == "avx, avx2, fma, f16c, avx512_vnni"
    assert found["usable cores"].found == "4 of 4"
    assert found["memory"].found == "16.0 GiB free of 32.0 GiB"
    assert found["transparent huge pages"].found == "madvise"


@pytest.mark.parametrize(
    ("changed", "name", "advice"),
    [
        ({"proc/loadavg": "0.90 1 1 1/1 1"}, "load", "22% of the cores"),
        ({"proc/stat": "cpu  9000 0 0 500000 0 0 0 1000 0"}, "steal", "took 10.0% of the time"),
        ({"proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 500000 kB"}, "memory", "little free memory"),
        ({"proc/meminfo": MACHINE["proc/meminfo"].replace("SwapTotal: 0", "SwapTotal: 9")}, "swap", "swapped out"),
        ({"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave"}, "frequency governor", "performance"),
        ({"sys/devices/system/cpu/intel_pstate/no_turbo": "0"}, "turbo", "echo 1 | sudo tee"),
        ({"sys/devices/system/cpu/cpufreq/boost": "1", "sys/devices/system/cpu/intel_pstate/no_turbo": None}, "turbo",
         "echo 0 | sudo tee"),
        ({"proc/cpuinfo": f"model name: Cloud\nflags: {FLAGS} hypervisor"}, "virtual machine", "in one session"),
        ({"sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0,2",
          "sys/devices/system/cpu/cpu2/topology/thread_siblings_list": "0,2"}, "hyper-threads", "--threads 3"),
        ({"sys/fs/cgroup/cpu.max": "150000 100000"}, "usable cores", "quota"),
        ({"sys/fs/cgroup/cpu.stat": "nr_periods 50\nnr_throttled 1234"}, "throttling", "1,234 times"),
        ({"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"}, "clock", "below 1 ms"),
    ],
)  # fmt: skip
def test_what_disturbs_timings_is_a_warning_with_an_advice(findings: Findings, changed, name: str, advice: str):
    found = findings(changed)
    assert found[name].status == "warning"
    assert advice in found[name].advice
    assert [each.name for each in found.values() if each.status == "warning"] == [name]


def test_a_coarse_clock_is_a_warning(findings: Findings):
    found = findings(resolution=0.015)
    assert (found["clock"].status, found["clock"].found) == ("warning", "resolution 15.0 ms, source tsc")


def test_where_nothing_can_be_read_nothing_is_claimed(tmp_path: Path):
    files = SystemFiles(tmp_path)
    found = machine_findings(files, {}, (), 1e-9) + state_findings(files)
    silent = {each.name for each in found if each.status == "missing"}
    assert silent >= {"model", "usable cores", "frequency governor", "load", "steal", "memory", "throttling", "GPU"}
    assert [each for each in found if each.advice] == []


@pytest.mark.parametrize(
    ("changed", "cores"),
    [
        ({}, 4),
        ({"proc/self/status": "Cpus_allowed_list:\t1,3"}, 2),
        ({"sys/fs/cgroup/cpu.max": "250000 100000"}, 2),
        ({"sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
        ({"proc/self/cgroup": "0::/pod", "sys/fs/cgroup/pod/cpu.max": "300000 100000"}, 3),
    ],
)
def test_cores_are_those_of_the_affinity_within_the_quota(findings: Findings, tmp_path, changed, cores: int):
    findings(changed)
    assert usable_cores(SystemFiles(tmp_path)) == cores


def test_limits_of_the_older_control_groups_count_too(findings: Findings, tmp_path: Path):
    found = findings(
        {
            "proc/self/cgroup": "4:memory:/job\n1:cpu,cpuacct:/job",
            "sys/fs/cgroup/cpu.max": None,
            "sys/fs/cgroup/cpu.stat": None,
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.stat": "nr_throttled 7",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": str(4 * 2**30),
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": str(3 * 2**30),
        }
    )
    assert usable_cores(SystemFiles(tmp_path)) == 2
    assert found["memory"].found == "1.000 GiB free of 4.000 GiB that the control group allows"
    assert found["throttling"].found == "7 times"


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"OMP_NUM_THREADS": "4"}, "ok"),
        ({"OMP_NUM_THREADS": "1"}, "warning"),
        ({"MKL_NUM_THREADS": "8"}, "warning"),
        ({"OPENBLAS_NUM_THREADS": "1"}, "ok"),
    ],
)
def test_thread_variables_must_fit_the_cores(findings: Findings, environ: dict[str, str], status: str):
    found = findings(environ=environ)[next(iter(environ))]
    assert found.status == status
    assert ("4 cores can be used" in found.advice) == (status == "warning")


def test_an_energy_counter_that_only_root_may_read_comes_with_the_command(findings: Findings, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: "energy" not in str(path))
    found = findings()["energy (RAPL)"]
    assert found.status == "missing"
    assert found.advice.endswith("sudo chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj")


def test_without_an_energy_counter_the_reason_is_told(findings: Findings):
    counter: dict[str, str | None] = {"sys/class/powercap/intel-rapl:0/energy_uj": None}
    assert findings(counter)["energy (RAPL)"].found == "not there: this processor or kernel has none"


@pytest.mark.parametrize(("text", "cpus"), [("0-2,5", {0, 1, 2, 5}), ("7", {7}), ("", set()), (None, set())])
def test_lists_of_cpus_are_read(text: str | None, cpus: set[int]):
    assert cpu_list(text) == cpus


@pytest.mark.parametrize(("text", "number"), [("1024 kB", 1024), ("-1", -1), ("max", None), ("", None), (None, None)])
def test_numbers_are_read(text: str | None, number: int | None):
    assert whole_number(text) == number


def test_engines_are_ready_or_come_with_the_command_that_installs_them(monkeypatch):
    ready = EngineKind("here", "m:E", ("fp32",), ("cpu",), ("numpy",), "pip install numpy", "")
    absent = EngineKind("gone", "m:E", ("fp32",), ("cpu",), ("no-such-package",), "pip install no-such-package", "")
    monkeypatch.setattr(doctor, "engine_kinds", lambda: {kind.name: kind for kind in (ready, absent)})
    here, gone = engine_findings()
    assert (here.status, here.advice) == ("ok", "")
    assert here.found.startswith("numpy ")
    assert (gone.status, gone.found) == ("missing", "engine 'gone' needs no-such-package")
    assert gone.advice == "To use the engine gone, run: pip install no-such-package"


def test_extras_say_what_they_need(monkeypatch):
    declared = ["numpy>=2", 'numpy>=2; extra == "plots"', "no-such-package; extra == 'other'"]
    monkeypatch.setattr(doctor, "requires", lambda name: declared)
    other, plots = extra_findings()
    assert (other.name, other.status) == ("extra other", "missing")
    assert other.found == "needs no-such-package; pip install 'harness[other]'"
    assert (plots.name, plots.status) == ("extra plots", "ok")


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path: Path):
    folder = tmp_path / "not" / "yet"
    assert "free in" in storage_finding("cache folder", folder).found
    assert not folder.exists()


def test_too_little_space_and_a_folder_that_cannot_be_written_are_warnings(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(doctor, "_LITTLE_DISK", 2**70)
    assert "may not fit" in storage_finding("runs folder", tmp_path).advice
    (tmp_path / "file").write_text("")
    found = storage_finding("cache folder", tmp_path / "file" / "cache")
    assert (found.status, found.advice) == ("warning", "Take another cache folder: --cache-dir")


def test_the_hub_is_asked_only_with_the_network(monkeypatch):
    asked = []
    monkeypatch.setattr("harness.candidates.hub.answers", lambda: bool(asked.append(1)))
    assert hub_finding(network=False).status == "ok"
    assert asked == []
    assert hub_finding(network=True).status == "missing"


def test_each_advice_is_given_once_and_what_was_measured_comes_first():
    found = Diagnosis(
        (
            Finding("engines", "a", "missing", "", "install a"),
            Finding("state", "load", "warning", "", "stop it"),
            Finding("noise", "A/A", "warning", "", "measure elsewhere"),
            Finding("engines", "b", "missing", "", "install a"),
        )
    )
    assert found.advice == ["measure elsewhere", "stop it", "install a"]


def test_this_machine_has_a_diagnosis_that_goes_through_json(tmp_path: Path):
    found = json.loads(json.dumps(diagnose(tmp_path, tmp_path).as_dict(), allow_nan=False))
    assert found["noise"] is None
    assert {"processor", "state", "engines", "storage"} <= {each["part"] for each in found["findings"]}


# the noise floor


@pytest.mark.parametrize(("seconds", "blocks"), [(3, 6), (6, 6), (11, 6), (15, 12), (20, 20), (600, 20)])
def test_a_longer_measurement_has_more_blocks(seconds: float, blocks: int):
    assert blocks_for(seconds) == blocks


STILL = [([0.010, 0.011], [0.010, 0.011], [0.011, 0.010])] * 6


def test_a_still_machine_has_no_noise_floor_and_no_advice():
    found = noise_findings(summarise(STILL), virtual=False, busy=False)
    assert [(each.status, each.advice) for each in found] == [("ok", "")] * 3
    assert "+0.0% [+0.0%, +0.0%], noise floor 0.0%" in found[0].found


def test_medians_and_fastest_readings_are_told_apart():
    moved = [([0.010, 0.02, 0.02], [0.010, 0.01, 0.02], [0.010, 0.01, 0.01])] * 6
    found = summarise(moved)
    assert found.by_minimum.floor == 0.0
    assert found.by_median.floor == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("virtual", "busy", "cause"),
    [(True, False, "hyper-thread"), (False, False, "by heat"), (True, True, "something else is running")],
)
def test_a_machine_of_two_speeds_is_told_so_in_words(virtual: bool, busy: bool, cause: str):
    two_speeds = [([0.010, 0.0135], [0.010, 0.0135], [0.0135, 0.010])] * 6
    noise = summarise(two_speeds)
    assert noise.range == pytest.approx(0.35)
    advice = noise_findings(noise, virtual, busy)[-1].advice
    assert advice.startswith("The machine changes speed by 35% by itself: ")
    assert cause in advice


def test_a_machine_on_which_little_can_be_found_is_told_so():
    wild = [([1.0 + (block % 2)], [1.0], [2.0 - (block % 3) / 2]) for block in range(12)]
    assert "find no change below" in noise_findings(summarise(wild), virtual=False, busy=False)[1].advice


@pytest.fixture
def own_forkserver():
    """The process that workers are forked from has imported what its first user named; none is left to other tests."""
    with scratch_kept():
        forkserver._forkserver._stop()
    yield
    with scratch_kept():
        forkserver._forkserver._stop()


@pytest.mark.usefixtures("own_forkserver")
def test_fresh_workers_measure_the_control_workload_in_turns():
    found = measure_noise(1.0)
    assert found.blocks == 6
    assert found.readings >= 6 * 3 * 2
    assert 0 < found.fastest_seconds <= found.median_seconds <= found.slow_tenth_seconds < 10
    assert json.dumps(found.as_dict(), allow_nan=False)
