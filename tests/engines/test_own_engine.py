"""An engine of another package: a real distribution on the path, found by its entry point, measured in a real run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.corpora.corpus import Corpus

ENGINE = '''
"""torch's engine under another name."""

from pathlib import Path

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines.base import Session, Setup
from harness.engines.catalogue import EngineKind


class PlainEngine:
    def prepare(self, checkpoint: Checkpoint, setup: Setup, store: ArtefactStore) -> Path:
        return checkpoint.path  # nothing to convert

    def open(self, folder: Path, family: str, setup: Setup) -> Session:
        from harness.engines.torch_engine import TorchEngine

        return TorchEngine().open(folder, family, setup)


KIND = EngineKind(
    name="plain",
    factory="plain_engine:PlainEngine",
    precisions=("fp32",),
    devices=("cpu",),
    packages=("torch", "transformers"),
    install="pip install torch transformers",
    description="an engine of another package",
)
'''

SUITE = """
title = "An engine of my own"
corpus = "text:{corpus}"
candidates = ["tiny-gpt2"]
variants = ["plain/fp32"]
rounds = 1
threads = 1

[evaluation]
block_size = 32

[items]
continuations = 4
clozes = 4
choices = 4
context_words = 8
continuation_words = 3
right_words = 4

[timing]
prompt_tokens = 16
new_tokens = 4
readings = 1
reading_seconds = 0.01
warmup_seconds = 0.01

[generation]
new_tokens = 4

[candidate.tiny-gpt2]
origin = "trained"
family = "causal"
architecture = "gpt2"
shape = {{ n_layer = 1, n_embd = 32, n_head = 2, n_positions = 64 }}
vocabulary = 400
training = {{ tokens = 3000, block_size = 32, learning_rate = 1e-2 }}
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> Path:
    """A folder with a corpus, a suite that names the engine, and the distribution as pip would unpack it."""
    folder = tmp_path_factory.mktemp("own-engine")
    packages, text = folder / "packages", folder / "text"
    facts = packages / "plain_engine-1.0.dist-info"
    facts.mkdir(parents=True)
    text.mkdir()
    (packages / "plain_engine.py").write_text(ENGINE, encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: plain-engine\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("[harness.engines]\nplain = plain_engine:KIND\n", encoding="utf-8")
    for split, documents in corpus.splits.items():
        for index, document in enumerate(documents):
            (text / f"{split}-{index:02d}.txt").write_text(document.text, encoding="utf-8")
    (folder / "own.toml").write_text(SUITE.format(corpus=text), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def harness(place: Path) -> Run:
    """Run the command line with that distribution on the path."""
    path = os.pathsep.join(filter(None, [str(place / "packages"), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "HARNESS_CACHE": str(place / "cache"), "COLUMNS": "200"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harness", *arguments]
        return subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


def test_it_is_listed_with_what_it_offers(harness: Run):
    listed = {line["engine"]: line for line in json.loads(harness("list", "engines", "--json").stdout)}
    assert {"plain", "torch", "onnxruntime"} <= set(listed)
    assert (listed["plain"]["status"], listed["plain"]["precisions"]) == ("ready", "fp32")
    assert listed["plain"]["description"] == "an engine of another package"


def test_a_precision_that_it_does_not_have_is_refused(harness: Run):
    finished = harness("run", "--suite", "own.toml", "--set", 'variants=["plain/int8"]')
    assert finished.returncode == 2
    assert "variant 'plain/int8': engine 'plain' has fp32" in finished.stderr


@pytest.mark.slow
def test_it_is_measured_like_any_other(harness: Run):
    finished = harness("run", "--suite", "own.toml", "--json")
    assert finished.returncode == 0, finished.stderr
    (row,) = json.loads(finished.stdout)
    assert (row["variant"], row["status"]) == ("tiny-gpt2/plain/fp32/cpu", "ok")
    assert {"perplexity", "decode_tokens_per_second", "peak_memory_bytes"} <= set(row["metrics"])
    assert row["metrics"]["kl_divergence"]["value"] == pytest.approx(0, abs=1e-6)
