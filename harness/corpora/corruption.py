"""Masking and span corruption: what masked and seq2seq models are trained and scored on. Pure arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORED = -100
"""The label of a position that is not scored."""

MEAN_SPAN = 3.0
"""Mean length of a corrupted span, in tokens (Raffel et al. 2020, section 3.3.4)."""

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class MaskedBlock:
    """A block with some tokens hidden; ``labels`` hold the originals there and ``IGNORED`` elsewhere."""

    ids: Ids
    labels: Ids


@dataclass(frozen=True)
class CorruptedBlock:
    """A block as an encoder source and a decoder target.

    ``origin`` gives for each target position the position in the block that it restores, or -1 for a sentinel or
    the end of the sequence.
    """

    source: Ids
    target: Ids
    origin: Ids


def sentinel_ids(tokenizer: Any) -> Ids:
    """Ids of ``<extra_id_0>``, ``<extra_id_1>``, ... of a transformers tokenizer, as many as it knows."""
    vocabulary = tokenizer.get_vocab()
    ids: list[int] = []
    while (name := f"<extra_id_{len(ids)}>") in vocabulary:
        ids.append(vocabulary[name])
    return np.asarray(ids, dtype=np.int64)


def mask_tokens(ids: Ids, rng: np.random.Generator, share: float, mask_id: int, vocabulary: int) -> MaskedBlock:
    """Hide a share of the tokens as BERT does: 80 % become [MASK], 10 % a random token, 10 % stay (Devlin et al.
    2019, section 3.1). Always the same number a block, at least one, so that no block goes unscored."""
    count = max(1, round(share * len(ids)))
    chosen = rng.choice(len(ids), size=count, replace=False)
    fate = rng.random(count)
    hidden = ids.copy()
    hidden[chosen[fate < 0.8]] = mask_id
    randomised = chosen[(fate >= 0.8) & (fate < 0.9)]
    hidden[randomised] = rng.integers(vocabulary, size=len(randomised))
    labels = np.full_like(ids, IGNORED)
    labels[chosen] = ids[chosen]
    return MaskedBlock(hidden, labels)


def corrupt_spans(
    ids: Ids, rng: np.random.Generator, share: float, mean_span: float, sentinels: Ids, end_id: int
) -> CorruptedBlock:
    """Replace random spans by sentinels and ask for them back (Raffel et al. 2020, section 3.1.4).

    The number of corrupted tokens and of spans is fixed by the block's length, so all blocks of one length give
    sources and targets of one length. Raises ValueError where there are fewer sentinels than spans.
    """
    length = len(ids)
    noise = min(max(1, round(length * share)), length - 1)
    spans = min(max(1, round(noise / mean_span)), length - noise)
    if spans > len(sentinels):
        raise ValueError(f"{spans} spans, but the tokenizer has only {len(sentinels)} sentinels")
    noise_lengths, kept_lengths = _parts(noise, spans, rng), _parts(length - noise, spans, rng)
    source: list[Ids] = []
    target: list[Ids] = []
    origin: list[Ids] = []
    position = 0
    for sentinel, kept, dropped in zip(sentinels, kept_lengths, noise_lengths, strict=False):
        mark = np.asarray([sentinel], dtype=np.int64)
        start = position + kept
        source += [ids[position:start], mark]
        target += [mark, ids[start : start + dropped]]
        origin += [np.asarray([-1]), np.arange(start, start + dropped)]
        position = start + dropped
    end = np.asarray([end_id], dtype=np.int64)
    return CorruptedBlock(
        np.concatenate([*source, end]), np.concatenate([*target, end]), np.concatenate([*origin, np.asarray([-1])])
    )


def _parts(total: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``total`` split at random into ``count`` positive parts."""
    cuts = np.sort(rng.choice(total - 1, size=count - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]])).astype(np.int64)
