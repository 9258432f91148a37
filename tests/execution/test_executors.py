"""What is refused of executors before anything runs, and what this machine's makes of a cluster's run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import stub_tasks
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import HarnessError
from harness.execution.executor import Timed
from harness.execution.job import Job, Request, begin
from harness.execution.local import LocalExecutor
from harness.records.run_folder import create_run, open_run, with_machines


def request(tmp_path: Path, variants: str = '["torch/fp32"]', **more: str) -> Request:
    suite = tmp_path / "stub.toml"
    suite.write_text(stub_tasks.suite_text(10).replace('["torch/fp32"]', variants), encoding="utf-8")
    return Request(
        str(suite), ("threads=1",), (), (), True, True, tmp_path / "runs", tmp_path / "cache", "test", **more
    )


def begun(tmp_path: Path, **more: str) -> Job:
    return begin(request(tmp_path, **more))


def test_without_ray_it_is_said_what_to_install(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(HarnessError, match=r"--executor ray needs Ray: pip install 'harness\[ray\]'"):
        begun(tmp_path, executor="ray")
    assert not (tmp_path / "runs").exists()


def test_kinds_of_machine_need_a_cluster(tmp_path: Path):
    with pytest.raises(HarnessError, match="variants ask for machines of the kinds large, small: see --executor ray"):
        begin(request(tmp_path, '["torch/fp32@small", "torch/fp32@large"]'))


def test_a_storage_that_cannot_be_used_is_refused_before_anything_runs(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match="cannot use the storage"):
        begun(tmp_path, storage=str(tmp_path / "file" / "below"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--executor", "rya"], "--executor: expected local or ray, not 'rya'"),
        (["--address", "here:1"], "--address is a cluster's: see --executor ray"),
    ],
)
def test_options_that_mean_nothing_are_one_line(options: list[str], words: str):
    done = CliRunner().invoke(app, ["run", "--suite", "smoke", *options])
    assert isinstance(done.exception, HarnessError)
    assert str(done.exception) == words


def test_timings_of_a_node_are_taken_again_here_and_those_of_here_are_not():
    executor = LocalExecutor.__new__(LocalExecutor)
    assert executor.resume({"a": Timed("", "node", "e"), "b": Timed("", "", "e")}) == {"a"}


def test_machines_of_a_resumed_run_stand_beside_those_of_before(tmp_path: Path):
    run = create_run(tmp_path, "run", "identity", {})
    small, large = {"hash": "1", "kind": "small", "nodes": 1}, {"hash": "1", "kind": "large", "nodes": 1}
    with_machines(with_machines(with_machines(run, [small]), [large, {**small, "nodes": 2}]), [small])
    assert open_run(run.path).info["machines"] == [{**small, "nodes": 2}, large]
    assert open_run(run.path).info["identity"] == "identity"
