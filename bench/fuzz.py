"""A campaign of damaged inputs: python bench/fuzz.py --inputs 10000 [--kind suites] [--seed 0] [--out failures].

Every input of a kind is drawn from its own seed, written into a folder of its own, and read by the code that a user's
file of that kind is read by (tests/fuzz/). Each kind is tried in a process of its own, which may take 4 GiB of address
space over what it began with. Prints a line a kind: how many inputs were read, refused in one line, or broke what must
hold, how many ended the process (which for what a run reads in workers costs one task), and the slowest. Inputs that
broke something are kept in the folder of ``--out``; leaves with exit code 1 where there are any.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "fuzz")]

import fuzz_hub  # noqa: E402
import fuzz_kinds  # noqa: E402
import fuzz_models  # noqa: E402
from fuzz_property import Kind, tried  # noqa: E402

MEMORY_BYTES = 4 << 30
HANG_SECONDS = 40.0
KINDS = {kind.name: kind for kind in (*fuzz_kinds.KINDS, *fuzz_models.KINDS, *fuzz_hub.KINDS)}


@dataclass
class Tally:
    """What came of the inputs of a kind."""

    read: int = 0
    refused: int = 0
    ended: int = 0
    slowest: tuple[float, int] = (0.0, 0)
    broken: list[tuple[int, str]] = field(default_factory=list)


def main() -> int:
    options = _options()
    failed = False
    print("| kind | inputs | read | refused in one line | ended the process | broken | slowest |", flush=True)
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for name in options.kind or KINDS:
        kind = KINDS[name]
        tally = campaign(kind, range(options.seed, options.seed + options.inputs), options.out)
        bad = len(tally.broken) + (0 if kind.in_worker else tally.ended)
        failed = failed or bad > 0
        seconds, seed = tally.slowest
        counts = f"{options.inputs} | {tally.read} | {tally.refused} | {tally.ended} | {len(tally.broken)}"
        print(f"| {name} | {counts} | {seconds:.2f} s (seed {seed}) |", flush=True)
        for seed, what in tally.broken:
            print(f"  {name}, seed {seed}: {what}", file=sys.stderr, flush=True)
    return int(failed)


def campaign(kind: Kind, seeds: range, out: Path) -> Tally:
    """Try all seeds of a kind; a process that one of them ends is started again behind it."""
    tally = Tally()
    context = multiprocessing.get_context("spawn")
    left = seeds
    while left:
        with tempfile.TemporaryDirectory(prefix="harness-fuzz-") as scratch:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_try_all, args=(kind.name, left, Path(scratch), theirs))
            process.start()
            theirs.close()
            done = _follow(ours, tally, left, Path(scratch), kind, out)
            if done < len(left):
                process.join(timeout=1)
                hung = process.is_alive()
                process.kill()
                process.join()
                seed = left[done]
                _keep(Path(scratch) / str(seed), kind, seed, out)
                tally.ended += not hung
                if hung or not kind.in_worker:
                    how = f"hung for {HANG_SECONDS:g} s" if hung else f"ended the process ({process.exitcode})"
                    tally.broken.append((seed, how))
                done += 1
            process.join()
            left = left[done:]
    return tally


def _follow(ours: Connection, tally: Tally, seeds: range, scratch: Path, kind: Kind, out: Path) -> int:
    """Count outcomes as they come; how many inputs are done when all are, or when no more come."""
    for done, seed in enumerate(seeds):
        try:
            if not ours.poll(HANG_SECONDS):
                return done
            refused, broken, seconds = ours.recv()
        except EOFError:
            return done
        tally.slowest = max(tally.slowest, (seconds, seed))
        if broken:
            tally.broken.append((seed, broken))
            _keep(scratch / str(seed), kind, seed, out)
        elif refused:
            tally.refused += 1
        else:
            tally.read += 1
        shutil.rmtree(scratch / str(seed), ignore_errors=True)
    return len(seeds)


def _try_all(name: str, seeds: range, scratch: Path, outcomes: Connection) -> None:
    """The process of a kind: one input after another, each in a folder of its own, under a limit of memory."""
    kind = KINDS[name]
    os.chdir(scratch)
    tried(kind, -1, scratch / "first")  # imports what the kind needs
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) if sys.platform == "linux" else 0
    held = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY_BYTES, held + MEMORY_BYTES))
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)  # what libraries print of bad files
    for seed in seeds:
        found = tried(kind, seed, scratch / str(seed))
        outcomes.send((found.refused, found.broken, found.seconds))


def _keep(folder: Path, kind: Kind, seed: int, out: Path) -> None:
    if folder.exists():
        shutil.copytree(folder, out / f"{kind.name}-{seed}", symlinks=True, dirs_exist_ok=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tries damaged inputs of every kind that harness reads.")
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="may be given again; default all")
    parser.add_argument("--inputs", type=int, default=10_000, help="a kind")
    parser.add_argument("--seed", type=int, default=0, help="of the first input; the others count on from it")
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"), help="where inputs that broke are kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
