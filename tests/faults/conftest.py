"""Folders with a fault, and a tiny suite whose only candidate has random weights."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.corpora.corpus import Corpus

SUITE = """
title = "Drawn"
corpus = "text:{corpus}"
candidates = ["drawn"]
variants = ["torch/fp32"]
rounds = 1
threads = 1
evaluation = {{ block_size = 32 }}
items = {{ continuations = 0, clozes = 0, choices = 0 }}
generation = {{ new_tokens = 2 }}

[timing]
prompt_tokens = 8
new_tokens = 2
readings = 1
reading_seconds = 0.001
warmup_seconds = 0
budget_seconds = 0.01

[candidate.drawn]
origin = "random"
family = "causal"
architecture = "gpt2"
shape = {{ n_layer = 1, n_embd = 32, n_head = 2, n_positions = 128 }}
vocabulary = 400
"""


@pytest.fixture(scope="session")
def drawn_suite(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> Path:
    """The file of the suite, with its corpus beside it."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "text").mkdir()
    for split, documents in corpus.splits.items():
        for index, document in enumerate(documents):
            (folder / "text" / f"{split}-{index:02d}.txt").write_text(document.text, encoding="utf-8")
    suite = folder / "drawn.toml"
    suite.write_text(SUITE.format(corpus=folder / "text"), encoding="utf-8")
    return suite


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    yield from _mounted(tmp_path / "small disk", "size=256k")


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nothing can be written, not even by root."""
    folder = tmp_path / "read-only"
    if os.getuid() != 0:
        folder.mkdir(mode=0o555)
        yield folder
        folder.chmod(0o755)
    else:
        yield from _mounted(folder, "ro")


def _mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a disk of its own cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
