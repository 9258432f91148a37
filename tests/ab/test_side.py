"""A side: a process that runs with the code of its checkout. What it runs here is a small package of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest
from builders import git_repository

from harness.ab.checkouts import Checkout
from harness.ab.server import Server
from harness.ab.side import Side
from harness.errors import HarnessError

SERVER = """
import json, os, subprocess, sys, time
for line in sys.stdin:
    command = json.loads(line)
    do = command["do"]
    if do == "die":
        sys.exit(3)
    if do == "spawn":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        answer = {"pid": child.pid}
    elif do == "fail":
        answer = {"error": command["reason"]}
    else:
        answer = {"code": CODE, "pid": os.getpid(), "cwd": os.getcwd(), "words": command, "path": sys.path[:3]}
    print(json.dumps(answer), flush=True)
"""


def checkout(folder: Path, code: str = "mine", under: str = "") -> Checkout:
    """A folder whose own ``harness.ab.server`` answers with what it is."""
    package = folder / under / "harness" / "ab"
    package.mkdir(parents=True)
    for init in (package.parent / "__init__.py", package / "__init__.py"):
        init.write_text("")
    (package / "server.py").write_text(f"CODE = {code!r}\n{SERVER}")
    return Checkout("abc", folder)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def side(tmp_path):
    """A running side."""
    with Side("new", checkout(tmp_path / "new")) as found:
        yield found


def test_each_side_runs_the_code_of_its_checkout(tmp_path):
    with Side("base", checkout(tmp_path / "a", "old")) as base, Side("new", checkout(tmp_path / "b", "fresh")) as new:
        assert [each.ask("tell")["code"] for each in (base, new)] == ["old", "fresh"]
        assert base.ask("tell")["cwd"] == str(tmp_path / "a")


def test_a_src_layout_is_imported(tmp_path):
    with Side("new", checkout(tmp_path / "project", "below src", under="src")) as new:
        assert new.ask("tell")["code"] == "below src"


def test_the_import_path_of_the_user_comes_after_that_of_the_checkout(tmp_path, monkeypatch):
    checkout(tmp_path / "elsewhere", "another")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    with Side("new", checkout(tmp_path / "mine", "mine")) as new:
        answer = new.ask("tell")
        assert answer["code"] == "mine"
        assert str(tmp_path / "elsewhere") in answer["path"]


def test_words_of_a_command_arrive(side):
    assert side.ask("tell", name="é|\n", slower=None)["words"] == {"do": "tell", "name": "é|\n", "slower": None}


def test_what_a_side_refuses_is_an_error_with_its_reason(side):
    with pytest.raises(HarnessError, match=r"^no kernel$"):
        side.ask("fail", reason="no kernel")
    assert side.ask("tell")["code"] == "mine"


def test_a_side_that_ended_says_so_each_time(side):
    for _ in range(3):
        with pytest.raises(HarnessError, match=r"^new \(abc\) ended; can its revision of harness be measured"):
            side.ask("die")


def test_a_revision_without_a_server_says_so(tmp_path):
    git_repository(tmp_path / "old", {"harness/__init__.py": ""})
    with (
        Side("base", Checkout("abc", tmp_path / "old")) as base,
        pytest.raises(HarnessError, match="can its revision of harness be measured beside another one"),
    ):
        base.ask("prepare")


def test_a_python_that_is_not_there_is_named(tmp_path):
    with pytest.raises(HarnessError, match=r"^new \(abc\): cannot start .*nowhere: No such file or directory$"):
        Side("new", Checkout("abc", tmp_path, tmp_path / "nowhere"))


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_at_the_end_nothing_is_left(tmp_path, error):
    pids = []

    def work():
        with Side("new", checkout(tmp_path / "new")) as side:
            pids.extend(side.ask(do)["pid"] for do in ("tell", "spawn"))
            if error:
                raise error

    if error:
        with pytest.raises(error):
            work()
    else:
        work()
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=5)
    assert not any(map(alive, pids))


def test_the_own_server_runs_on_this_python(tmp_path):
    """What a real side prints goes to stderr, so that answers are all that stands on stdout."""
    with Side("this", Checkout("abc", Path.cwd())) as this:
        with pytest.raises(HarnessError, match="nothing was prepared"):
            this.ask("open", variant="mini/torch/fp32/cpu")
        with pytest.raises(HarnessError, match="no suite 'nothing'"):
            this.ask(
                "prepare", name="base", suite="nothing", settings=(), only=(), skip=(), local=(), offline=True,
                runs_dir=str(tmp_path), cache_dir=str(tmp_path), command="harness ab",
            )  # fmt: skip


# the server's end, with workers that are made up


class Worker:
    """A worker that fails at its next turn, as one that was killed does."""

    def __init__(self) -> None:
        self.killed = False

    def turn(self, passes: int) -> list:
        self.kill()
        raise HarnessError("killed after 60 s")

    def close(self) -> None:
        if self.killed:
            raise OSError("handle is closed")
        self.kill()

    def kill(self) -> None:
        self.killed = True


@pytest.fixture
def server():
    """A server with the workers 1 and 2 open."""
    found = Server()
    found._workers = {1: Worker(), 2: Worker()}
    return found


def test_a_worker_is_closed_once(server):
    assert server.answer({"do": "close", "worker": 1}) == {}
    assert list(server._workers) == [2]


def test_closing_a_worker_that_failed_leaves_the_side_running(server):
    assert server.answer({"do": "turn", "worker": 1, "passes": 1}) == {"error": "killed after 60 s"}
    server.answer({"do": "close", "worker": 1})
    assert server.answer({"do": "close", "worker": 2}) == {}


def test_closing_a_worker_twice_leaves_the_side_running(server):
    server.answer({"do": "close", "worker": 1})
    server.answer({"do": "close", "worker": 1})


def test_killing_ends_all_workers(server):
    workers = list(server._workers.values())
    server.kill()
    assert all(worker.killed for worker in workers)
    assert server._workers == {}


def test_python_is_the_one_that_runs_this(side):
    assert Path(psutil.Process(side.ask("tell")["pid"]).exe()).resolve() == Path(os.path.realpath(sys.executable))
