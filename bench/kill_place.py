"""What bench/kills.py disturbs: a tiny suite, and a folder with its runs and its cache."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

from harness.records.run_folder import RunFolder, find_runs

HERE = Path(__file__).resolve().parent
SENTENCES = (
    "The people of the town want peace and a good road to the market.",
    "In the spring the river rises and the old bridge is closed for a week.",
    "We ask the council to repair the school, the bridge and the road.",
    "A new mill was built near the river, and the people were glad of it.",
    "The market is open on every day of the week except in the winter.",
    "Naïve visitors pay five euros (5 €) for a cup of coffee at the café.",
)
SUITE = """
title = "Tiny"
corpus = "text:{corpus}"
candidates = {candidates}
variants = {variants}
skip = ["taught/onnxruntime"]
rounds = 1
threads = 1
evaluation = {{ block_size = 32 }}

[items]
continuations = 4
clozes = 4
choices = 4
context_words = 8
continuation_words = 3
right_words = 4

[timing]
prompt_tokens = 8
new_tokens = 2
readings = 1
reading_seconds = 0.001
warmup_seconds = 0
budget_seconds = 0.01

[generation]
new_tokens = 2

[candidate.drawn]
origin = "random"
family = "causal"
architecture = "gpt2"
shape = {{ n_layer = 1, n_embd = 32, n_head = 2, n_positions = 64 }}
vocabulary = 400
"""
TAUGHT = """
[candidate.taught]
origin = "trained"
family = "causal"
architecture = "gpt2"
shape = { n_layer = 1, n_embd = 32, n_head = 2, n_positions = 64 }
vocabulary = 400
training = { tokens = 1000, block_size = 32, learning_rate = 1e-2, evaluations = 2 }
"""


def write_suite(folder: Path, small: bool) -> Path:
    """Make the folder, with a corpus and the suite's file: two candidates on two engines, or one on one."""
    (folder / "text").mkdir(parents=True)
    for split, numbers in (("train", range(30)), ("validation", range(30, 35)), ("test", range(35, 40))):
        for index in numbers:
            text = " ".join(SENTENCES[(index * 5 + step * step) % len(SENTENCES)] for step in range(12))
            (folder / "text" / f"{split}-{index:02d}.txt").write_text(text, encoding="utf-8")
    suite = folder / "tiny.toml"
    candidates, variants = (
        (["drawn"], ["torch/fp32"]) if small else (["drawn", "taught"], ["torch/fp32", "onnxruntime/int8"])
    )
    text = SUITE.format(corpus=folder / "text", candidates=candidates, variants=variants)
    suite.write_text(text + ("" if small else TAUGHT), encoding="utf-8")
    return suite


class Place:
    """A folder with a suite, the runs and the cache of a program under test, and a folder for temporary files."""

    def __init__(self, folder: Path, suite: Path) -> None:
        self.folder, self.suite = folder, suite
        self.mark = uuid.uuid4().hex
        self.seen, self.log = folder / "seen", folder / "log"
        for each in ("watched/runs", "watched/cache", "tmp"):
            (folder / each).mkdir(parents=True)
        self.seen.touch()

    @property
    def watched(self) -> Path:
        """What write steps are looked for in."""
        return self.folder / "watched"

    def environment(self, victim: str) -> dict[str, str]:
        """Variables of the program's processes, by which they are known again."""
        path = os.pathsep.join([str(HERE / "kill_hook"), str(HERE.parent)])
        return {
            **os.environ,
            "HARNESS_CACHE": str(self.watched / "cache"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": path,
            "OMP_NUM_THREADS": "1",
            "KILLS_FOLDER": str(self.watched),
            "KILLS_SEEN": str(self.seen),
            "KILLS_VICTIM": victim,
            "KILLS_MARK": self.mark,
        }

    def run(self) -> RunFolder | None:
        """The run, where there is one already."""
        runs = find_runs(self.watched / "runs")
        return runs[-1] if runs else None

    def lines(self) -> list[bytes]:
        """The whole lines of records."""
        run = self.run()
        if run is None or not run.store.path.exists():
            return []
        return run.store.path.read_bytes().split(b"\n")[:-1]

    def processes(self) -> list[psutil.Process]:
        """Processes of the program that run, parents and workers."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("KILLS_MARK") == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def leftovers(self) -> Iterator[str]:
        """Files and folders that only a write that was not finished leaves; lock files stay where they are."""
        for path in self.watched.rglob("*"):
            if (path.name.startswith(".") and path.name != ".lock") or path.parent.name == "unfinished":
                yield str(path.relative_to(self.folder))
        for run in (self.watched / "runs").iterdir():
            if not (run / "run.json").exists():
                yield str(run.relative_to(self.folder))
        for path in (self.folder / "tmp").iterdir():
            if not path.name.startswith("torchinductor_"):  # a cache that torch keeps
                yield str(path.relative_to(self.folder))

    def artefacts(self) -> list[Path]:
        """Artefacts that are where a reader would take them from."""
        return [path for path in (self.watched / "cache").glob("[!u]*/[!.]*") if path.is_dir()]

    def wipe(self) -> None:
        """Remove runs and cache."""
        for each in ("runs", "cache"):
            shutil.rmtree(self.watched / each)
            (self.watched / each).mkdir()
