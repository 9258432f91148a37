from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TINY_SUITE = """
title = "Tiny"
corpus = "text:{corpus}"
candidates = ["tiny-gpt2", "tiny-t5"]
variants = ["torch/fp32", "onnxruntime/int8"]
rounds = 2
threads = 1

[evaluation]
block_size = 32

[items]
continuations = 8
clozes = 10
choices = 8
context_words = 8
continuation_words = 3
right_words = 4

[timing]
prompt_tokens = 16
new_tokens = 8
readings = 1
reading_seconds = 0.01
warmup_seconds = 0.05

[generation]
new_tokens = 8

[candidate.tiny-gpt2]
origin = "trained"
family = "causal"
architecture = "gpt2"
shape = {{ n_layer = 1, n_embd = 32, n_head = 2, n_positions = 64 }}
vocabulary = 400
training = {{ tokens = 6000, block_size = 32, learning_rate = 1e-2 }}

[candidate.tiny-t5]
origin = "trained"
family = "seq2seq"
architecture = "t5"
shape = {{ num_layers = 1, num_decoder_layers = 1, d_model = 32, num_heads = 2, d_kv = 16, d_ff = 64 }}
vocabulary = 400
training = {{ tokens = 6000, block_size = 32, learning_rate = 1e-2 }}

[[use_case]]
title = "Generation"
families = ["causal"]
objective = "bits_per_byte"
tie_breakers = ["decode_tokens_per_second"]
"""

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory, corpus) -> Path:
    """A folder with a corpus and a suite of two tiny candidates; runs and cache are kept below it."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "text").mkdir()
    for split, documents in corpus.splits.items():
        for index, document in enumerate(documents):
            (folder / "text" / f"{split}-{index:02d}.txt").write_text(document.text, encoding="utf-8")
    (folder / "tiny.toml").write_text(TINY_SUITE.format(corpus=folder / "text"), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def environment(workplace: Path) -> dict[str, str]:
    return {**os.environ, "HARNESS_CACHE": str(workplace / "cache"), "COLUMNS": "200"}


@pytest.fixture(scope="session")
def harness(workplace: Path, environment: dict[str, str]) -> Cli:
    """Run the command line in the workplace, as a user would."""

    def run(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harness", *arguments]
        return subprocess.run(
            command, cwd=workplace, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    return run
