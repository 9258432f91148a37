"""Tasks that meet with a fault of the machine, run in real worker processes by the tests beside this file."""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from harness.execution import work
from harness.execution.orders import MachineOrder, Outcome, WorkOrder
from harness.execution.worker import Channel
from harness.records.record import Fact


def perform(order: str, channel: Channel) -> Outcome:
    """Do the named thing; words after its name are its arguments."""
    name, *arguments = order.split()
    return globals()[f"_{name}"](channel, *arguments)


def perform_with_nan(order: WorkOrder | MachineOrder, channel: Channel) -> Outcome:
    """Do the task as ever, but a score's last number is none."""
    outcome = work.perform(order, channel)
    if getattr(order, "kind", "") != "score":
        return outcome
    *others, last = (fact for fact in outcome.facts if fact.value is not None)
    return replace(outcome, facts=[*others, replace(last, value=math.nan)])


def _good(channel: Channel) -> Outcome:
    return Outcome([Fact("load_seconds", 1.0)])


def _hang(channel: Channel) -> Outcome:
    channel.progress(0.0, str(os.getpid()))
    time.sleep(600)
    return Outcome([])


def _fill_group(channel: Channel, group: str) -> Outcome:
    """Go into a control group with a limit of memory, and take more."""
    Path(group, "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    blocks = []
    while True:
        blocks.append(bytearray(b"1") * 1_000_000)


def _fill_address_space(channel: Channel) -> Outcome:
    """Take more memory than this process may have."""
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 100_000_000, size + 100_000_000))
    return Outcome([Fact("load_seconds", float(len(bytearray(1_000_000_000))))])


def _leave_a_child(channel: Channel) -> Outcome:
    """Exit without a result, and leave a child that holds everything that this worker had open, its pipe too."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
    channel.progress(0.0, str(child))
    os._exit(0)


def _tell_of_a_child(channel: Channel) -> Outcome:
    """Finish well, and leave a child."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
    channel.progress(0.0, str(child))
    return Outcome([Fact("load_seconds", 1.0)])


def _kill_the_source(channel: Channel) -> Outcome:
    """Kill the process that workers are forked from, as the system does that runs out of memory."""
    os.kill(os.getppid(), 9)
    time.sleep(600)
    return Outcome([])


def _print_megabytes(channel: Channel) -> Outcome:
    sys.stderr.write("x" * 8_000_000)
    return Outcome([Fact("load_seconds", 1.0)])
