"""The one way to a candidate's checkpoint: fetched, trained, distilled, pruned or drawn at random, and cached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate
from harness.candidates.checkpoint import Checkpoint, load_model, load_tokenizer, open_checkpoint, tokenizer_of
from harness.candidates.published import fetch
from harness.corpora.catalogue import load_corpus
from harness.corpora.corpus import Corpus
from harness.corpora.packing import tokenize
from harness.errors import HarnessError
from harness.records.hashing import code_digest
from harness.training.curve import CURVE, Progress


def obtain(
    candidate: Candidate, corpus_name: str, corpus_hash: str, store: ArtefactStore, offline: bool, progress: Progress
) -> Checkpoint:
    """The checkpoint of a candidate, from the cache where it is there, else made now; its teacher's first.

    Raises UnavailableError where a published one cannot be had, HarnessError where it cannot be made.
    """
    if candidate.spec.origin == "published":
        progress(0.0, "fetching")
        return fetch(candidate, store, offline)
    teacher = None
    if candidate.teacher:
        teacher = obtain(candidate.teacher, corpus_name, corpus_hash, store, offline, progress)

    def draw_weights(folder: Path) -> None:
        from harness.training.random_weights import draw

        draw(candidate.spec, _same_corpus(corpus_name, corpus_hash), folder, progress)

    description = candidate.description(corpus_hash)

    def train_weights(folder: Path) -> None:
        from harness.training.recipe import train

        unfinished = store.workplace("checkpoints", candidate.name, description)
        train(
            candidate.spec,
            _same_corpus(corpus_name, corpus_hash),
            folder,
            progress,
            teacher=load_model(teacher.path, teacher.family) if teacher else None,
            tokenizer=load_tokenizer(teacher.path) if teacher else None,
            unfinished=unfinished,
        )

    build = draw_weights if candidate.spec.origin == "random" else train_weights
    made = store.get("checkpoints", candidate.name, description, build)
    store.clear_workplace("checkpoints", candidate.name, description)
    return open_checkpoint(made.path, candidate.family)


def is_cached(candidate: Candidate, corpus_hash: str, store: ArtefactStore) -> bool:
    """Whether the checkpoint of a candidate that is made here has been made."""
    return store.place("checkpoints", candidate.name, candidate.description(corpus_hash)).exists()


def training_curve(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """What the training run of a checkpoint left behind; None for one that was not trained here."""
    file = checkpoint.path / CURVE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def unigram_counts(
    checkpoint: Checkpoint, corpus_name: str, corpus_hash: str, store: ArtefactStore
) -> NDArray[np.int64]:
    """How often each token of the checkpoint's tokenizer occurs in the corpus's train split, [vocabulary]."""

    def build(folder: Path) -> None:
        tokenizer = tokenizer_of(checkpoint)
        ids = tokenize(tokenizer, _same_corpus(corpus_name, corpus_hash).splits["train"]).ids
        np.save(folder / "counts.npy", np.bincount(ids, minlength=len(tokenizer)))

    made_from = {"tokenizer": checkpoint.tokenizer_hash, "corpus": corpus_hash, "code": code_digest("corpora")}
    counts: NDArray[np.int64] = np.load(
        store.get("unigram", "counts", made_from, build).path / "counts.npy", allow_pickle=False
    )
    return counts


def _same_corpus(name: str, expected_hash: str) -> Corpus:
    corpus = load_corpus(name)
    if corpus.hash != expected_hash:
        raise HarnessError(f"corpus '{name}' changed while the run was going on")
    return corpus
