"""The array that every quality number starts from: for each scored token its document, span and likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from harness.corpora.corpus import Document
from harness.engines.base import Logits
from harness.errors import HarnessError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BOUNDARY = -1
"""The target that stands for "the word ends here": any token that begins another word."""
_NO_BOUNDARY = "a target of BOUNDARY needs the tokens that it stands for"


@dataclass(frozen=True)
class ScoredTokens:
    """Arrays of equal length, one entry a scored token.

    ``documents`` and ``items`` say what the token belongs to (an item is a window, a sentence or a question),
    ``starts`` and ``ends`` are its span in UTF-8 bytes of that text, ``targets`` its id (or ``BOUNDARY``), ``nll``
    its negative log-likelihood in nats, and ``top1`` is 1 where it was the likeliest token, 1/k in a tie of k, else 0.
    """

    documents: Ints
    items: Ints
    starts: Ints
    ends: Ints
    targets: Ints
    nll: Floats
    top1: Floats

    @property
    def byte_lengths(self) -> Ints:
        """UTF-8 bytes that each token covers."""
        return self.ends - self.starts

    def only(self, mine: Flags) -> ScoredTokens:
        """Some of the tokens, marked [n]."""
        return ScoredTokens(**{field.name: getattr(self, field.name)[mine] for field in fields(self)})

    def checked(self, documents: Sequence[Document]) -> ScoredTokens:
        """Itself. Raises HarnessError where nothing was scored, and where a likelihood is infinite or not a number,
        naming the document."""
        if not len(self.nll):
            raise HarnessError("there is no token to score: the text is empty, or shorter than one block")
        broken = ~np.isfinite(self.nll)
        if broken.any():
            name = documents[int(self.documents[broken][0])].name
            raise HarnessError(
                f"document '{name}': {int(broken.sum())} tokens have a likelihood that is not a finite number"
            )
        return self


def joined(parts: Sequence[ScoredTokens]) -> ScoredTokens:
    """Parts one after another. Raises HarnessError where there are none."""
    if not parts:
        raise HarnessError("there is no token to score")
    names = [field.name for field in fields(ScoredTokens)]
    return ScoredTokens(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def token_nll(logits: Logits, targets: Ints, boundary: Flags | None = None) -> tuple[Floats, Floats]:
    """Negative log-likelihoods in nats of ``targets`` [n] under ``logits`` [n, vocabulary], and whether each was the
    likeliest (see :class:`ScoredTokens`): log-sum-exp in float64.

    ``boundary`` [vocabulary] marks the tokens that a target of ``BOUNDARY`` stands for; their probabilities add up.
    """
    import torch

    wide = torch.from_numpy(logits).double()
    wanted = torch.from_numpy(targets)
    peak = wide.amax(dim=-1, keepdim=True)
    chosen = wide.gather(1, wanted.clamp(min=0)[:, None])[:, 0]
    peaks = (wide == peak).sum(dim=-1)
    top1 = (chosen == peak[:, 0]) / peaks
    ends = wanted == BOUNDARY
    if bool(ends.any()):
        if boundary is None:
            raise ValueError(_NO_BOUNDARY)
        beginnings = wide[ends][:, torch.from_numpy(boundary)]
        chosen[ends] = torch.logsumexp(beginnings, dim=-1)
        top1[ends] = (beginnings == peak[ends]).sum(dim=-1) / peaks[ends]
    log_sum = wide.sub_(peak).exp_().sum(dim=-1).log() + peak[:, 0]
    return (log_sum - chosen).numpy(), top1.double().numpy()


def divergence(parent: Logits, variant: Logits) -> tuple[Floats, Floats]:
    """KL(parent || variant) in nats a position, and 1 where the parent's likeliest token is the variant's as well
    (a tie counts as agreement), of logits [n, vocabulary]; in float64."""
    import torch

    log_p = torch.log_softmax(torch.from_numpy(parent).double(), dim=-1)
    log_q = torch.log_softmax(torch.from_numpy(variant).double(), dim=-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(dim=-1).clamp(min=0)
    first = log_p.argmax(dim=-1, keepdim=True)
    agrees = log_q.gather(1, first)[:, 0] == log_q.amax(dim=-1)
    return kl.numpy(), agrees.double().numpy()


def unigram(
    tokens: ScoredTokens, counts: Ints, boundary: Flags | None = None, given: int | None = None
) -> ScoredTokens:
    """The same tokens under word frequencies: ``counts`` [vocabulary], one added to each.

    A target that is ``given`` costs nothing: the sentinel that closes an infilled word never occurs in text, so its
    frequency says nothing, and the floor is told where words end.
    """
    frequencies = (counts + 1.0) / (counts + 1.0).sum()
    probabilities = frequencies[tokens.targets]
    likeliest = counts == counts.max()
    top1 = likeliest[tokens.targets] / likeliest.sum()
    ends = tokens.targets == BOUNDARY
    if ends.any():
        if boundary is None:
            raise ValueError(_NO_BOUNDARY)
        probabilities[ends] = frequencies[boundary].sum()
        top1[ends] = (likeliest & boundary).sum() / likeliest.sum()
    if given is not None:
        probabilities[tokens.targets == given] = 1.0
        top1[tokens.targets == given] = 1.0
    return replace(tokens, nll=-np.log(probabilities), top1=top1)


def resized(counts: Ints, size: int) -> Ints:
    """Counts of a tokenizer's entries for a model of another vocabulary: zeros added, or entries that it cannot
    predict left out."""
    return np.pad(counts[:size], (0, max(0, size - len(counts))))
