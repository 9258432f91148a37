"""Runs on a real cluster: three raylets, real workers, tiny models."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from harness.records.record import Record
from harness.records.run_folder import RunFolder, find_runs
from harness.reporting.markdown import report

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
from kill_place import write_suite

pytestmark = pytest.mark.slow
QUALITY = ("candidate", "score")
TIMED = ("limits", "load", "time")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One candidate on one engine."""
    return write_suite(tmp_path_factory.mktemp("tiny") / "tiny", small=True)


def quality(run: RunFolder) -> list[str]:
    """All that was found of quality, bit for bit."""
    found = []
    for record in run.records():
        if record.kind in QUALITY and record.fact is not None:
            fact = record.fact
            samples = [] if "loss" in fact.metric else fact.samples  # a curve tells the seconds of its steps
            about = [record.subject.variant, record.subject.weights_hash, fact.metric, fact.value, fact.low, fact.high]
            found.append(json.dumps([*about, samples, fact.protocol, fact.text], sort_keys=True))
    return sorted(found)


def closings(run: RunFolder) -> list[Record]:
    return [record for record in run.store.finished() if record.fact is None]


def nodes_of(run: RunFolder, kinds: tuple[str, ...]) -> set[str]:
    return {record.conditions["node"] for record in closings(run) if record.kind in kinds}


@pytest.fixture(scope="module")
def there(raylets) -> RunFolder:
    """Suite smoke on the cluster."""
    return raylets.run("smoke", "smoke", "--rounds", "1")


@pytest.fixture(scope="module")
def small(raylets, suite: Path) -> RunFolder:
    return raylets.run(suite, "small")


def test_smoke_has_the_quality_of_a_run_on_one_machine_bit_for_bit(there: RunFolder, run_here, tmp_path: Path):
    here = run_here("smoke", tmp_path, "--rounds", "1")
    assert quality(there) == quality(here)
    assert len(quality(here)) > 50
    assert {record.status for record in closings(there)} == {"ok"}


def test_timings_are_of_one_node_and_the_rest_of_several(there: RunFolder):
    assert len(nodes_of(there, TIMED)) == 1
    assert len(nodes_of(there, ("candidate", "variant", "score", "memory"))) > 1


def test_no_timing_began_before_all_else_had_ended(there: RunFolder):
    order = [record.kind in TIMED for record in there.store.read() if record.fact is None]
    assert order == sorted(order)


def test_the_run_tells_its_machines_and_nothing_that_names_them(there: RunFolder):
    (machine,) = there.info["machines"]
    assert (machine["nodes"], machine["kind"]) == (3, "")
    assert {record.environment for record in closings(there)} == {machine["hash"]}
    assert "variants timed" in report(there)


def test_a_driver_that_was_killed_goes_on_and_repeats_nothing(raylets, suite: Path, small: RunFolder):
    command = raylets.command(suite, "killed")
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as driver:
        assert driver.stderr is not None
        assert any("score" in line for line in driver.stderr)
        driver.kill()
    (run,) = find_runs(raylets.folder / "killed" / "runs")
    before = run.store.path.read_bytes()
    assert run.store.read()
    again = raylets.run(suite, "killed")
    assert again.path == run.path
    assert again.store.path.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    measured = Counter(r.task for r in again.store.read() if r.fact is None and r.kind not in ("candidate", "variant"))
    assert set(measured.values()) == {1}
    assert quality(again) == quality(small)


def test_ctrl_c_leaves_nothing_running(raylets, suite: Path):
    with subprocess.Popen(raylets.command(suite, "stopped"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          text=True) as driver:  # fmt: skip
        assert driver.stderr is not None
        assert any("score" in line for line in driver.stderr)
        driver.send_signal(signal.SIGINT)
        said = driver.stderr.read()
    assert driver.returncode == 130
    assert "the same command resumes" in said
    (run,) = find_runs(raylets.folder / "stopped" / "runs")
    assert "interrupted" in {record.status for record in closings(run)}


def refused(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("harness: ")]
    assert "Traceback" not in done.stderr
    return line


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--threads", "64"], "wants 64 cores and 0 GPUs and fits no node (there are up to 2 cores and 0 GPUs)"),
        (["--set", 'variants=["torch/fp32@huge"]', "--set", "skip=[]"],
         "no node of the cluster has the label harness-machine=huge, which drawn/torch/fp32/cpu@huge asks for"),
        (["--storage", ""], "the 3 nodes of the cluster share nothing: --storage takes a folder or a URL"),
        (["--storage", "nowhere://x"], "cannot use the storage nowhere://x"),
        (["--address", "127.0.0.1:9"], "no Ray cluster answers at 127.0.0.1:9: Connection refused"),
        (["--address", "here"], "--address: expected HOST:PORT, not 'here'"),
    ],
)  # fmt: skip
def test_what_the_cluster_cannot_do_is_one_line_before_anything_runs(raylets, suite: Path, more, words):
    assert words in refused(raylets.command(suite, "refused", *more))
    assert not list((raylets.folder / "refused").glob("runs/*"))


def test_a_run_begun_on_a_cluster_is_timed_again_where_it_goes_on_alone(
    raylets, suite: Path, small: RunFolder, run_here
):
    """A table never mixes machines."""
    folder = raylets.folder / "small"
    run = run_here(suite, folder)
    assert run.path == find_runs(folder / "runs")[-1].path
    assert {record.conditions.get("node", "") for record in closings(run) if record.kind in TIMED} == {""}
    assert all(record.conditions.get("node") for record in closings(run) if record.kind == "score")


def test_a_node_that_dies_loses_nothing(raylets, suite: Path, small: RunFolder):
    """The node that timings are pinned to, the largest, is killed in the middle of them."""
    log, rows = raylets.folder / "log", raylets.folder / "rows"
    with (
        log.open("w") as said,
        rows.open("w") as printed,
        subprocess.Popen(raylets.command(suite, "dying", "--rounds", "3"), stderr=said, stdout=printed) as driver,
    ):
        while driver.poll() is None:
            time.sleep(0.1)
            runs = find_runs(raylets.folder / "dying" / "runs")
            if "large" in raylets.nodes and runs and sum(r.kind == "time" for r in closings(runs[0])) == 1:
                raylets.kill("large")
    assert driver.returncode == 0, log.read_text()
    assert json.loads(rows.read_text())
    (run,) = find_runs(raylets.folder / "dying" / "runs")
    assert {record.status for record in closings(run)} == {"ok"}
    assert len(nodes_of(run, TIMED)) == 1
    every = [r for r in run.store.read() if r.fact is None]
    assert len({r.conditions["node"] for r in every if r.kind in TIMED and r.status == "ok"}) == 2
    assert "to be timed again on another node" in {r.reason for r in every}
    repeated = {r.kind for r, count in zip(every, [Counter(e.task for e in every)[r.task] for r in every], strict=True)
                if count > 1}  # fmt: skip
    assert repeated <= set(TIMED)
    assert quality(run) == quality(small)
    raylets.add("large")
