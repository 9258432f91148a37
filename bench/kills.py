"""Kills a run again and again, resumes it each time, and counts what was lost.

    python bench/kills.py --kills 200

A tiny suite runs in processes of its own. It is killed by SIGKILL at every write step of its parent and its workers
(see kill_hook/sitecustomize.py) and at random moments, until it ends; then its records are compared with those of a
run that nobody disturbed, everything is wiped, and it begins anew. Prints a Markdown line a kind of kill, and ends
with 1 where anything was lost, left or wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from kill_place import Place, write_suite

from harness.candidates.artefacts import open_artefact
from harness.records.record import Record

KINDS = {
    "writer": "the process that writes, at each of its write steps",
    "parent": "the parent, at each write step of a worker",
    "random parent": "the parent, at random moments",
    "random worker": "a worker, at random moments",
}
DETERMINISTIC = ("candidate", "variant", "score")
MEASURED = ("score", "memory", "limits", "load", "time")
ORPHAN_SECONDS = 10.0
LONGEST_SECONDS = 300.0
BETWEEN_SECONDS = 4.0
"""Longest time between two kills of workers of one run."""


@dataclass
class Tally:
    """What was counted, in all and by kind of kill."""

    kills: Counter[str] = field(default_factory=Counter)
    passes: int = 0
    lost: int = 0
    repeated: int = 0
    corrupt: int = 0
    different: int = 0
    orphans: int = 0
    temporary: list[str] = field(default_factory=list)
    lived_on: float = 0.0
    overheads: list[float] = field(default_factory=list)

    def sound(self) -> bool:
        """Whether nothing was lost, left or wrong."""
        counts = (self.lost, self.repeated, self.corrupt, self.different, self.orphans)
        return self.passes > 0 and not any(counts) and not self.temporary


@dataclass
class Launch:
    """The program, started once: when it began each task, by its line on stderr."""

    process: subprocess.Popen[str]
    started: float
    began: list[tuple[float, str]] = field(default_factory=list)
    listener: threading.Thread | None = None

    @classmethod
    def of(cls, place: Place, victim: str) -> Launch:
        """Start it."""
        command = [sys.executable, "-m", "harness", "run", "--suite", str(place.suite), "--runs-dir"]
        process = subprocess.Popen(
            [*command, str(place.watched / "runs"), "--json"],
            env=place.environment(victim),
            cwd=place.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        launch = cls(process, time.monotonic())
        launch.listener = threading.Thread(target=launch._listen, args=(place.log,), daemon=True)
        launch.listener.start()
        return launch

    def _listen(self, log: Path) -> None:
        with log.open("a", encoding="utf-8") as stream:
            for line in self.process.stderr or ():
                stream.write(f"{time.monotonic() - self.started:7.2f} {line}")
                if line.startswith("["):
                    self.began.append((time.monotonic() - self.started, line.split("] ", 1)[1].partition(" (about")[0]))

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        code = self.process.wait(LONGEST_SECONDS)
        if self.listener is not None:
            self.listener.join(ORPHAN_SECONDS)
        return code


def kill_at_random(launch: Launch, place: Place, workers: bool, longest: float, chance: random.Random) -> int:
    """Kill the parent once, or workers until the run has ended, at random moments; how many kills that were."""
    kills = 0
    while launch.process.poll() is None:
        moment = time.monotonic() + chance.uniform(0, BETWEEN_SECONDS if workers else longest)
        while launch.process.poll() is None and time.monotonic() < moment:
            time.sleep(0.01)
        try:
            victims = _workers(launch.process.pid, chance) if workers else [launch.process.pid]
            if victims and launch.process.poll() is None:
                os.kill(chance.choice(victims), signal.SIGKILL)
                kills += 1
        except (psutil.Error, ProcessLookupError):
            continue
        if not workers:
            break
    return kills


def _workers(parent: int, chance: random.Random) -> list[int]:
    """Its workers; one time in eight all processes that it started, those that workers are forked from among them."""
    program = psutil.Process(parent)
    family = program.children(recursive=True)
    if chance.random() >= 1 / 8:
        family = [each for each in family if each.ppid() != parent]
    return [each.pid for each in family]


def content(records: list[Record]) -> list[Any]:
    """What must be the same in every run: of each task its status, and of deterministic ones all that they found."""
    found = []
    for record in records:
        about: list[Any] = [record.task, record.kind, record.subject.variant, record.status, record.round]
        if record.kind in DETERMINISTIC:
            about.append(record.subject.weights_hash)
            if record.fact is not None:
                fact = record.fact
                samples = [] if "loss" in fact.metric else fact.samples  # a curve tells the seconds of its steps
                about += [fact.metric, fact.value, fact.low, fact.high, samples, fact.protocol, fact.text]
        if record.kind in DETERMINISTIC or record.fact is None:
            found.append(json.dumps(about, sort_keys=True))
    return sorted(found)


def check_after(place: Place, before: list[bytes], tally: Tally) -> None:
    """After a launch ended: are all lines of before there, is every artefact whole, does any process still run?"""
    after = place.lines()
    tally.lost += sum(old != new for old, new in zip(before, after, strict=False)) + max(0, len(before) - len(after))
    tally.corrupt += sum(open_artefact(path) is None for path in place.artefacts())
    ended = time.monotonic()
    while (alive := place.processes()) and time.monotonic() < ended + ORPHAN_SECONDS:
        time.sleep(0.05)
    tally.lived_on = max(tally.lived_on, time.monotonic() - ended)
    tally.orphans += len(alive)
    for process in alive:
        print("orphan:", process.pid, process.cmdline(), file=sys.stderr)
        process.kill()


def check_end(place: Place, expected: list[Any], tally: Tally) -> None:
    """After a pass: the same content as undisturbed, no measurement done twice, nothing temporary left."""
    run = place.run()
    records = run.store.read() if run else []
    closed = Counter(r.task for r in records if r.fact is None and r.status == "ok" and r.kind in MEASURED)
    tally.repeated += sum(closed.values()) - len(closed)
    found = content(run.records()) if run else []
    tally.different += len(set(found) ^ set(expected)) + abs(len(found) - len(expected))
    tally.temporary += list(place.leftovers())
    tally.passes += 1


def overhead(launch: Launch, before: list[bytes]) -> float | None:
    """Seconds until a resumed run began the first task that it had not prepared before, all imports included."""
    records = [Record.from_json(line.decode("utf-8")) for line in before]
    done = {f"prepare {r.subject.variant}" for r in records if r.fact is None and r.status == "ok"}
    return next((when for when, task in launch.began if done and task not in done), None)


def campaign(folder: Path, kills: int, seed: int, hold: Path | None = None, small: bool = False) -> Tally:
    """The whole of it: an undisturbed run, then kills until there were enough of them and the run has ended."""
    suite = write_suite(folder, small)
    undisturbed, place = Place(folder / "undisturbed", suite), Place(folder / "killed", suite)
    first = Launch.of(undisturbed, "nobody")
    if first.wait() != 0:
        raise SystemExit(f"the undisturbed run failed: {undisturbed.log.read_text(encoding='utf-8')}")
    longest = time.monotonic() - first.started
    run = undisturbed.run()
    assert run is not None
    expected, tally, chance = content(run.records()), Tally(), random.Random(seed)
    while True:
        kind = chance.choice(list(KINDS)) if tally.kills.total() < kills else "nobody"
        while hold is not None and hold.exists():
            time.sleep(1)
        before, known = place.lines(), len(place.seen.read_text(encoding="utf-8").splitlines())
        launch = Launch.of(place, kind)
        if kind.startswith("random"):
            tally.kills[kind] += kill_at_random(launch, place, kind == "random worker", 0.6 * longest, chance)
        code = launch.wait()
        if not kind.startswith("random"):
            tally.kills[kind] += len(place.seen.read_text(encoding="utf-8").splitlines()) - known
        if (seconds := overhead(launch, before)) is not None:
            tally.overheads.append(seconds)
        check_after(place, before, tally)
        print(f"{tally.kills.total()} kills, {kind}: exit code {code}, {len(place.lines())} lines", file=sys.stderr)
        if code == 0:
            check_end(place, expected, tally)
            if tally.kills.total() >= kills:
                return tally
            place.wipe()


def lines(tally: Tally) -> str:
    """The tally as lines of a Markdown table: fault, how injected, how often, what was lost, what the user saw."""
    lost = (
        f"{tally.lost} records lost, {tally.repeated} measurements repeated, {tally.corrupt} corrupt artefacts, "
        f"{tally.different} differences from an undisturbed run, {tally.orphans} orphans, "
        f"{len(tally.temporary)} temporary files, over {tally.passes} runs"
    )
    return "\n".join(f"| SIGKILL | {KINDS[kind]} | {count} | {lost} |" for kind, count in sorted(tally.kills.items())
                     if kind in KINDS)  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="a folder to make, and to keep; else a temporary one")
    parser.add_argument("--small", action="store_true", help="one candidate on one engine")
    parser.add_argument("--hold", type=Path, help="begin no run while this file exists: somebody takes timings")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tally = campaign(
            (asked.folder or Path(scratch) / "kills").resolve(), asked.kills, asked.seed, asked.hold, asked.small
        )
    print(lines(tally))
    for each in tally.temporary:
        print("left:", each, file=sys.stderr)
    print(f"processes lived on for {tally.lived_on:.1f} s at most", file=sys.stderr)
    if tally.overheads:
        print(f"resumed in {statistics.median(tally.overheads):.1f} s, the median", file=sys.stderr)
    raise SystemExit(0 if tally.sound() else 1)


if __name__ == "__main__":
    main()
