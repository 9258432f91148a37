"""A/A: the control workload against itself, in fresh workers that take turns, as ``ab`` measures two revisions."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from harness.errors import HarnessError
from harness.execution.environment import worker_environment
from harness.execution.findings import Finding
from harness.speed.control import control_seconds
from harness.stats.intervals import median, percentile
from harness.stats.noise_floor import Arms, NoiseFloor, noise_floor
from harness.stats.verdicts import LOOKS

TWO_SPEEDS = 0.2
"""By how much more time the slow tenth of readings takes than the fastest, where a machine changes speed."""
FINE_ENOUGH = 0.05
"""A machine on which no smaller change than this is found deserves an advice."""
_BLOCK_SECONDS = 1.0
_TURN_SECONDS = 0.05
_WARM_READINGS = 2
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Noise:
    """What a measurement of the control workload against itself has shown; times in seconds."""

    blocks: int
    readings: int
    by_median: NoiseFloor
    by_minimum: NoiseFloor
    fastest_seconds: float
    median_seconds: float
    slow_tenth_seconds: float

    @property
    def moved(self) -> float:
        """By how much more time the median reading takes than the fastest, as a fraction."""
        return self.median_seconds / self.fastest_seconds - 1

    @property
    def range(self) -> float:
        """By how much more time the slow tenth of readings takes, at least, than the fastest, as a fraction."""
        return self.slow_tenth_seconds / self.fastest_seconds - 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"moved": self.moved, "range": self.range}


def blocks_for(seconds: float) -> int:
    """Most blocks of a second each, of the numbers at which ``ab`` looks; the fewest that give an interval at least."""
    return max((number for number in LOOKS if number * _BLOCK_SECONDS <= seconds), default=min(LOOKS))


def measure_noise(seconds: float) -> Noise:
    """Measure for about so many seconds. Raises HarnessError where a worker dies or hangs."""
    os.environ.update(worker_environment(threads=1, offline=False))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "harness.cli"])  # what a worker would import anew otherwise
    number, order, began = blocks_for(seconds), random.Random(0), time.monotonic()
    blocks = [_block(context, began + seconds * (done + 1) / number, order) for done in range(number)]
    return summarise(blocks)


def summarise(blocks: Sequence[Arms]) -> Noise:
    """What readings of blocks show. Raises ValueError for no blocks."""
    readings = [reading for block in blocks for arm in block for reading in arm]
    return Noise(
        blocks=len(blocks),
        readings=len(readings),
        by_median=noise_floor(blocks, median),
        by_minimum=noise_floor(blocks, min),
        fastest_seconds=min(readings),
        median_seconds=median(readings),
        slow_tenth_seconds=percentile(readings, 0.9),
    )


def noise_findings(noise: Noise, virtual: bool, busy: bool) -> list[Finding]:
    """The same in words. ``virtual`` and ``busy`` say where readings that differ come from: whether this is a virtual
    machine, and whether something else was running."""
    medians, fastest = _floor("A/A, medians", noise.by_median), _floor("A/A, fastest readings", noise.by_minimum)
    found = [medians, replace(fastest, advice=_advice(noise.by_minimum))]
    shown = f"median {noise.moved:.0%}, slow tenth {noise.range:.0%} over the fastest of {noise.readings:,} readings"
    if noise.range < TWO_SPEEDS:
        return [*found, Finding("noise", "control workload", "ok", shown)]
    cause = "by its clock rate, by heat, or because something else runs now and then"
    if busy:
        cause = "something else is running"
    elif virtual:
        cause = (
            "on a virtual machine usually because the other hyper-thread of its core belongs to somebody else, which "
            "neither load nor steal shows"
        )
    advice = (
        f"The machine changes speed by {noise.range:.0%} by itself: {cause}. Do not trust single readings or medians "
        "over seconds; compare the fastest of many readings that were taken in turns, over many blocks, as ab does."
    )
    return [*found, Finding("noise", "control workload", "warning", shown, advice)]


def _floor(name: str, floor: NoiseFloor) -> Finding:
    ratio = floor.ratio
    interval = "" if ratio.low is None or ratio.high is None else f" [{ratio.low - 1:+.1%}, {ratio.high - 1:+.1%}]"
    found = ", ".join(f"{change:.1%} with {number}" for number, change in floor.smallest.items())
    shown = f"{ratio.value - 1:+.1%}{interval}, noise floor {floor.floor:.1%}; ab would find {found} blocks"
    return Finding("noise", name, "warning" if _advice(floor) else "ok", shown)


def _advice(floor: NoiseFloor) -> str:
    blocks, change = max(floor.smallest.items())
    if change <= FINE_ENOUGH:
        return ""
    return (
        f"Even {blocks} blocks find no change below {change:.0%} here. Stop what else is running, measure for longer, "
        "or measure on a quieter machine."
    )


def serve(connection: Connection) -> None:
    """Entry point of a worker: answers a number with so many readings, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    while True:
        try:
            wanted: int = connection.recv()
            connection.send([control_seconds(time.perf_counter, attempts=1) for _ in range(wanted)])
        except (EOFError, OSError):
            return


def _block(context: Any, until: float, order: random.Random) -> Arms:
    """Three fresh workers in palindromes of random order, until a time of ``time.monotonic``, twice each at least."""
    with _workers(context, 3) as workers:
        warm = [_ask(worker, _WARM_READINGS)[-1] for worker in workers]
        turn = max(1, round(_TURN_SECONDS / median(warm)))
        readings: tuple[list[float], list[float], list[float]] = ([], [], [])
        while not readings[0] or time.monotonic() < until:
            shuffled = order.sample(range(3), 3)
            for arm in (*shuffled, *reversed(shuffled)):
                readings[arm].extend(_ask(workers[arm], turn))
    return readings


@contextmanager
def _workers(context: Any, number: int) -> Iterator[list[Connection]]:
    connections, processes = [], []
    try:
        for _ in range(number):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            connections.append(ours)
            processes.append(process)
        yield connections
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.join(timeout=1)
            if process.exitcode is None:
                process.kill()
                process.join(timeout=10)


def _ask(worker: Connection, readings: int) -> list[float]:
    try:
        worker.send(readings)
        if not worker.poll(_ANSWER_SECONDS):
            raise HarnessError(f"a worker has not answered for {_ANSWER_SECONDS:g} s")
        answer: list[float] = worker.recv()
    except (EOFError, OSError) as error:
        raise HarnessError("a worker that measured the noise floor died") from error
    return answer
