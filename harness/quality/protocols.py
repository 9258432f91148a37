"""How tokens are scored, by family: blocks for causal models, frozen masks and frozen spans for the others.

Each protocol yields scored tokens together with the token ids that were scored, so that the unigram baseline is taken
on exactly the same tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.corpora.corpus import Document
from harness.corpora.corruption import IGNORED, MEAN_SPAN, corrupt_spans, mask_tokens, sentinel_ids
from harness.corpora.packing import TokenizedText, blocks, tokenize
from harness.engines.base import Session
from harness.errors import HarnessError
from harness.quality.likelihood import Ints, ScoredTokens, joined, token_nll


@dataclass(frozen=True)
class Scoring:
    """The settings of a protocol. ``block_size`` counts all tokens that the model sees; ``batch_size`` is 1 by
    default because dynamically quantised models give logits that depend on the other rows of a batch."""

    block_size: int = 128
    batch_size: int = 1
    mask_share: float = 0.15
    mask_seed: int = 0


@dataclass(frozen=True)
class Scored:
    """Scored tokens, the ids that were scored, and the protocol as it is printed. ``content_share`` is the share of
    the positions that a model predicts which hold content: below 1 only where a decoder also predicts sentinels."""

    tokens: ScoredTokens
    targets: Ints
    protocol: dict[str, Any]
    content_share: float = 1.0


def score_blocks(session: Session, tokenizer: Any, documents: Sequence[Document], scoring: Scoring) -> Scored:
    """Causal, protocol ``block``: tokens concatenated and cut into disjoint blocks, the remainder dropped; the first
    token of a block is context only (transformers' ``run_clm`` example)."""
    size = scoring.block_size

    def block(ids: Ints) -> tuple[Ints, Ints, Ints, Ints | None]:
        return ids, np.arange(size - 1), np.arange(1, size), None

    protocol = {"protocol": "block", "block_size": size, "joined_by": "nothing", "batch_size": scoring.batch_size}
    return _score(session, tokenizer, documents, scoring, size, block, protocol)


def score_masked(session: Session, tokenizer: Any, documents: Sequence[Document], scoring: Scoring) -> Scored:
    """Masked, protocol ``frozen masks``: blocks between [CLS] and [SEP], masked as in training, but with a seed."""
    for token in ("cls_token_id", "sep_token_id", "mask_token_id"):
        if getattr(tokenizer, token) is None:
            raise HarnessError(f"the tokenizer has no {token.removesuffix('_id')}, which a masked model needs")
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    rng = np.random.default_rng(scoring.mask_seed)

    def block(ids: Ints) -> tuple[Ints, Ints, Ints, Ints | None]:
        masked = mask_tokens(ids, rng, scoring.mask_share, tokenizer.mask_token_id, len(tokenizer))
        chosen = np.flatnonzero(masked.labels != IGNORED)
        return np.concatenate([[cls], masked.ids, [sep]]), chosen + 1, chosen, None

    protocol = {
        "protocol": "frozen masks",
        "block_size": scoring.block_size,
        "mask_share": scoring.mask_share,
        "mask_seed": scoring.mask_seed,
        "batch_size": scoring.batch_size,
    }
    return _score(session, tokenizer, documents, scoring, scoring.block_size - 2, block, protocol)


def score_spans(session: Session, tokenizer: Any, documents: Sequence[Document], scoring: Scoring) -> Scored:
    """Seq2seq, protocol ``frozen spans``: spans of mean length 3 dropped with a fixed seed; content tokens are scored,
    sentinels are context."""
    sentinels = sentinel_ids(tokenizer)
    if not len(sentinels):
        raise HarnessError("the tokenizer has no <extra_id_0>, which span corruption needs")
    rng = np.random.default_rng(scoring.mask_seed)
    start = np.asarray([tokenizer.pad_token_id], dtype=np.int64)

    def block(ids: Ints) -> tuple[Ints, Ints, Ints, Ints | None]:
        corrupted = corrupt_spans(ids, rng, scoring.mask_share, MEAN_SPAN, sentinels, tokenizer.eos_token_id)
        content = np.flatnonzero(corrupted.origin >= 0)
        decoder = np.concatenate([start, corrupted.target[:-1]])
        return corrupted.source, content, corrupted.origin[content], decoder

    protocol = {
        "protocol": "frozen spans",
        "block_size": scoring.block_size,
        "mask_share": scoring.mask_share,
        "mean_span": MEAN_SPAN,
        "mask_seed": scoring.mask_seed,
        "batch_size": scoring.batch_size,
    }
    return _score(session, tokenizer, documents, scoring, scoring.block_size, block, protocol)


PROTOCOLS: dict[str, Callable[[Session, Any, Sequence[Document], Scoring], Scored]] = {
    "causal": score_blocks,
    "masked": score_masked,
    "seq2seq": score_spans,
}

_Block = Callable[[Ints], tuple[Ints, Ints, Ints, Ints | None]]


def _score(
    session: Session,
    tokenizer: Any,
    documents: Sequence[Document],
    scoring: Scoring,
    content: int,
    block: _Block,
    protocol: dict[str, Any],
) -> Scored:
    """Run every block. ``block`` turns ids [content] into the model's input, the rows of logits to read, the positions
    in the block that these predict, and the decoder's input."""
    limit = session.facts.positions
    if limit is not None and scoring.block_size > limit:
        raise HarnessError(f"block_size {scoring.block_size} is longer than the model's {limit} positions")
    text = tokenize(tokenizer, documents)
    starts = np.arange(len(blocks(text.ids, content))) * content
    parts, targets = [], []
    decoder_positions = 0
    for first in range(0, len(starts), scoring.batch_size):
        batch = starts[first : first + scoring.batch_size]
        rows = [block(text.ids[start : start + content]) for start in batch]
        decoders = [row[3] for row in rows if row[3] is not None]
        decoder_positions += sum(len(decoder) for decoder in decoders)
        logits = session.score(np.stack([row[0] for row in rows]), np.stack(decoders) if decoders else None)
        for row_logits, start, (_, read, predicted, _) in zip(logits, batch, rows, strict=True):
            wanted = text.ids[start + predicted]
            parts.append(_scored(text, start + predicted, token_nll(row_logits[read], wanted)))
            targets.append(wanted)
    scored = joined(parts, documents)
    share = len(scored.nll) / decoder_positions if decoder_positions else 1.0
    return Scored(scored, np.concatenate(targets), protocol, share)


def _scored(text: TokenizedText, positions: Ints, nll: Any) -> ScoredTokens:
    return ScoredTokens(text.documents[positions], text.byte_lengths[positions], nll)
