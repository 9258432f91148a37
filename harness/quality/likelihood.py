"""The array that every quality number starts from: for each scored token its document, bytes and likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.corpora.corpus import Document
from harness.errors import HarnessError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ScoredTokens:
    """Three arrays of equal length, one entry a scored token: the index of its document, the UTF-8 bytes of text that
    it covers, and its negative log-likelihood in nats."""

    documents: Ints
    byte_lengths: Ints
    nll: Floats

    def by_document(self) -> list[DocumentSums]:
        """Sums a document, for documents in which something was scored."""
        return [
            DocumentSums(int(index), float(self.nll[mine].sum()), int(mine.sum()), int(self.byte_lengths[mine].sum()))
            for index in np.unique(self.documents)
            for mine in [self.documents == index]
        ]


@dataclass(frozen=True)
class DocumentSums:
    """What was scored in one document: nats, tokens and bytes."""

    document: int
    nll: float
    tokens: int
    bytes: int


def token_nll(logits: NDArray[np.float32], targets: Ints) -> Floats:
    """Negative log-likelihoods in nats of ``targets`` [n] under ``logits`` [n, vocabulary]: log-sum-exp in float64."""
    wide = logits.astype(np.float64)
    peak = wide.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(wide - peak).sum(axis=-1)) + peak[:, 0]
    nll: Floats = log_sum - wide[np.arange(len(targets)), targets]
    return nll


def joined(parts: Sequence[ScoredTokens], documents: Sequence[Document]) -> ScoredTokens:
    """Parts put together and checked. Raises HarnessError that names the document of a likelihood that is infinite
    or not a number, and one where nothing was scored at all."""
    if not parts:
        raise HarnessError("the text to score is shorter than one block")
    scored = ScoredTokens(
        np.concatenate([part.documents for part in parts]),
        np.concatenate([part.byte_lengths for part in parts]),
        np.concatenate([part.nll for part in parts]),
    )
    broken = ~np.isfinite(scored.nll)
    if broken.any():
        name = documents[int(scored.documents[broken][0])].name
        raise HarnessError(
            f"document '{name}': {int(broken.sum())} tokens have a likelihood that is not a finite number"
        )
    return scored


def unigram_nll(counts: Ints, targets: Ints) -> Floats:
    """Negative log-likelihoods in nats of ``targets`` under word frequencies [vocabulary], one added to each."""
    log_frequencies = np.log((counts + 1) / (counts + 1).sum())
    nll: Floats = -log_frequencies[targets]
    return nll
