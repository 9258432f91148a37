"""The loss curve of a candidate trained by one process and by two, in fp32 and in fp64.

    python bench/processes_and_parts.py gpt2-tiny --suite smoke [--set training.learning_rate=1e-3]

Each way is a fresh launch with one thread a process, and all have the same recipe and examples. Whatever is
systematic has the same size in fp64, where rounding begins 5e8 times smaller. Beside it stand two ways in which one
process alone rounds otherwise: a step in two parts, and two threads. A loss is the mean over the steps since the one
that was told before it. Nothing is timed, so other work on the machine does no harm.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.candidates.catalogue import resolve
from harness.corpora.catalogue import load_corpus
from harness.reporting.table import Table
from harness.suites.loader import load_suite, trained_as_asked
from harness.training.recipe import train

ROWS = 12
Curve = dict[str, list[dict[str, float]]]
"""``steps`` and ``validation``, as ``training.json`` has them."""


@dataclass(frozen=True)
class Way:
    """How the steps are computed: by so many processes, in so many parts and threads each."""

    dtype: str
    processes: int = 1
    parts: int = 1
    threads: int = 1


ONE, TWO, ONE64, TWO64 = (Way(dtype, processes) for dtype in ("float32", "float64") for processes in (1, 2))
PARTS, THREADS = Way("float32", parts=2), Way("float32", threads=2)


def main() -> None:
    """Train one way where that is asked for, else all of them, and print what they have apart."""
    parser = argparse.ArgumentParser(description="the loss curves of one process and of two")
    parser.add_argument("candidate")
    parser.add_argument("--suite", default="smoke")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="KEY=VALUE of the suite")
    parser.add_argument("--way", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    _train(asked, Way(**asked.way)) if asked.way else _compare(asked)


def _compare(asked: argparse.Namespace) -> None:
    curves = {way: _launched(asked, way) for way in (ONE, TWO, PARTS, THREADS, ONE64, TWO64)}
    steps = [int(entry["step"]) for entry in curves[ONE]["steps"]]
    lines = []
    for place in sorted({round(row * (len(steps) - 1) / (ROWS - 1)) for row in range(ROWS)}):
        one, two, one64, two64 = (curves[way]["steps"][place]["loss"] for way in (ONE, TWO, ONE64, TWO64))
        cells = (f"{one:.5f}", f"{two:.5f}", _apart(two, one), f"{one64:.9f}", f"{two64:.9f}", _apart(two64, one64))
        lines.append((str(steps[place]), *cells))
    heads = ("step", "fp32: one process", "two", "apart", "fp64: one process", "two", "apart")
    print(Table(heads, tuple(lines)).markdown())
    pairs = {
        "fp32, two processes and one": (TWO, ONE),
        "fp32, two processes and one in two parts": (TWO, PARTS),
        "fp32, one process in two parts and whole": (PARTS, ONE),
        "fp32, one process with two threads and one": (THREADS, ONE),
        "fp64, two processes and one": (TWO64, ONE64),
    }
    rows = tuple((name, *_furthest(curves[left], curves[right])) for name, (left, right) in pairs.items())
    print(Table(("curves", "furthest apart", "at step", "last validation losses"), rows).markdown())


def _apart(value: float, other: float) -> str:
    return f"{abs(value - other) / other:.1e}"


def _furthest(left: Curve, right: Curve) -> tuple[str, str, str]:
    """Of two curves the largest relative difference, its step, and their last validation losses."""
    pairs = zip(left["steps"], right["steps"], strict=True)
    one, other = max(pairs, key=lambda pair: abs(pair[0]["loss"] / pair[1]["loss"] - 1))
    last = " / ".join(f"{each['validation'][-1]['loss']:.9f}" for each in (left, right))
    return _apart(one["loss"], other["loss"]), str(int(one["step"])), last


def _launched(asked: argparse.Namespace, way: Way) -> Curve:
    """The curve of a training in processes of its own."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"] if way.processes > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "curve.json")
        own = [f"--set={each}" for each in asked.settings] + [f"--way={json.dumps(vars(way))}", f"--out={out}"]
        environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, *launcher, __file__, asked.candidate, f"--suite={asked.suite}", *own]
        subprocess.run(command, check=True, env=environment)
        return json.loads(out.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _train(asked: argparse.Namespace, way: Way) -> None:
    """Train with weights, gradients and losses of a type, and save the curve."""
    torch.set_num_threads(way.threads)
    torch.set_default_dtype(getattr(torch, way.dtype))
    suite = load_suite(asked.suite, (*asked.settings, f"training.accumulate={way.parts}")).suite
    spec = resolve(asked.candidate, trained_as_asked(suite, [asked.candidate])).spec
    with tempfile.TemporaryDirectory() as folder:
        run = train(spec, load_corpus(suite.corpus), Path(folder), lambda share, word: None)
    if int(os.environ.get("RANK", "0")) == 0:
        asked.out.write_text(json.dumps({"steps": run.steps, "validation": run.validation}), encoding="utf-8")


if __name__ == "__main__":
    main()
