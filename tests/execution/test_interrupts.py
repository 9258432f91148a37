from __future__ import annotations

import os
import signal
import subprocess
import sys
from multiprocessing import forkserver

import pytest

from harness.execution.interrupts import Interrupts, held_back


class Finalised:
    """An object that is interrupted while Python finalises it, where a KeyboardInterrupt is dropped."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_dropped_is_raised_at_the_next_check():
    with Interrupts() as interrupts:
        interrupts.check()
        dropped = Finalised()
        del dropped
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_an_interrupt_is_raised_at_once_as_ever():
    with pytest.raises(KeyboardInterrupt), Interrupts():
        os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_of_before_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_while_a_worker_is_started_is_raised_when_it_has_started(monkeypatch):
    """As the process starts that workers come from, too: there it was once ignored."""
    monkeypatch.setattr(forkserver, "ensure_running", interrupt)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    started = False
    try:
        with pytest.raises(KeyboardInterrupt), held_back():
            started = True
    finally:
        signal.signal(signal.SIGINT, usual)
    assert started
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


FORKING = """
import os, signal
from multiprocessing import forkserver
from harness.execution.interrupts import held_back
with held_back():
    pass
(blocked,) = (line for line in open(f"/proc/{forkserver._forkserver._forkserver_pid}/status") if "SigBlk" in line)
print(bool(int(blocked.split()[1], 16) & 1 << signal.SIGINT - 1))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="which signals a process blocks is told by Linux alone")
def test_the_process_that_workers_come_from_does_not_hear_ctrl_c():
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
