"""What the decode loop costs: on a session that computes nothing, and on each engine beside a loop of its own.

The model is a GPT-2 of two layers with random weights, so small that a token is mostly overhead. In each group,
``session`` is what the program times and ``own`` a minimal loop on the engine's interface (``engine_overhead.py``).
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from engine_overhead import LOOPS

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint, open_checkpoint
from harness.candidates.spec import CandidateSpec
from harness.corpora.corpus import SPLITS, Corpus, Document
from harness.engines.base import Ids, Logits, SessionFacts, Setup, Weights
from harness.engines.catalogue import engine_kind
from harness.speed.workloads import generation_pass
from harness.training.random_weights import draw

NEW_TOKENS = 32
PROMPT = np.arange(32)
SETUP = Setup("fp32", threads=1)
TINY = CandidateSpec(
    origin="random",
    family="causal",
    architecture="gpt2",
    shape={"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": 128, "vocab_size": 400},
    vocabulary=400,
    seed=0,
)


class NoModel:
    """A session whose logits are made beforehand."""

    def __init__(self, vocabulary: int) -> None:
        self._logits = np.random.default_rng(0).standard_normal(vocabulary, dtype=np.float32)
        self.facts = SessionFacts("causal", vocabulary, Weights(0), "cpu", None)

    def prefill(self, ids: Ids, room: int) -> Logits:
        return self._logits

    def step(self, token: int) -> Logits:
        return self._logits


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The tiny GPT-2."""
    folder = tmp_path_factory.mktemp("gpt2")
    document = Document("letter", "The people of the town want peace and a good road to the market. " * 40)
    corpus = Corpus("letters", dict.fromkeys(SPLITS, (document,)))
    draw(TINY, corpus, folder, lambda share, word: None)
    return open_checkpoint(folder, "causal")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtefactStore:
    """A cache of exports."""
    return ArtefactStore(tmp_path_factory.mktemp("cache"))


def _prepared(name: str, checkpoint: Checkpoint, store: ArtefactStore) -> Path:
    kind = engine_kind(name)
    if reason := kind.missing():
        pytest.skip(reason)
    return kind.load().prepare(checkpoint, SETUP, store)


@pytest.mark.parametrize("vocabulary", [400, 50257])
@pytest.mark.benchmark(group="decode loop, 32 tokens, no model")
def bench_the_loop_alone(benchmark, vocabulary: int):
    benchmark(generation_pass, NoModel(vocabulary), PROMPT, NEW_TOKENS, time.perf_counter)


@pytest.mark.parametrize("way", ["session", "own"])
@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino", "llamacpp"])
def bench_decoding(benchmark, engine: str, way: str, checkpoint: Checkpoint, store: ArtefactStore):
    folder = _prepared(engine, checkpoint, store)
    benchmark.group = f"decode loop, 32 tokens, {engine}"
    if way == "own":
        benchmark(LOOPS[engine](folder, SETUP), PROMPT, NEW_TOKENS)
        return
    session = engine_kind(engine).load().open(folder, "causal", SETUP)
    benchmark(generation_pass, session, PROMPT, NEW_TOKENS, time.perf_counter)
    session.close()
