"""Windows: what a model reads in one pass and which of its predictions are scored; and how they are run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.engines.base import CHUNK, Logits, Session
from harness.errors import HarnessError
from harness.quality.likelihood import Flags, Floats, Ints, ScoredTokens, divergence, token_nll

ROWS = 128
"""Rows of one batch where the measure allows it: a sentence of that many tokens is one pass of masks."""
_PIECE = 1 << 21
"""Logits that are held in float64 at once, in numbers: 16 MiB stay in most CPUs' last cache, and in memory that the
allocator uses again."""
_LOGITS = 1 << 26
"""Logits of one batch, in numbers: 256 MiB."""
_TOKENS = 1 << 16
"""Tokens of one batch of a masked or seq2seq model."""
_PADDED = 0.75
"""The shortest row of a causal batch, as a share of its longest."""


@dataclass(frozen=True)
class Window:
    """One row of a batch. ``ids`` [length] go in (a seq2seq model also reads ``decoder_ids``), the logits at the
    positions ``read`` [n], ascending, predict ``targets`` [n]; each of these has its document and its span in UTF-8
    bytes, and all belong to one item."""

    ids: Ints
    read: Ints
    targets: Ints
    documents: Ints
    starts: Ints
    ends: Ints
    item: int
    decoder_ids: Ints | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Lengths of ids and of decoder ids."""
        return len(self.ids), 0 if self.decoder_ids is None else len(self.decoder_ids)


@dataclass(frozen=True)
class Divergence:
    """How far a variant is from its parent, at each scored token: KL in nats, and agreement on the likeliest token."""

    kl: Floats
    agrees: Floats


def score_windows(
    session: Session, windows: Sequence[Window], batch_size: int = ROWS, boundary: Flags | None = None
) -> ScoredTokens:
    """Run all windows in batches; the tokens come back in the order of the windows.

    Raises HarnessError for a window that is longer than the model's positions.
    """
    tokens = _Collected(windows)
    for places, logits in _pieces(session, windows, batch_size, tokens.offsets):
        tokens.nll[places], tokens.top1[places] = token_nll(logits, tokens.targets[places], boundary)
    return tokens.scored()


def score_beside_parent(
    session: Session, parent: Session, windows: Sequence[Window], batch_size: int
) -> tuple[ScoredTokens, ScoredTokens, Divergence]:
    """Run all windows through a variant and its parent, piece by piece, so that no more than a piece of logits is held.

    Returns the variant's tokens, the parent's, and the divergence at each.
    """
    mine, theirs = _Collected(windows), _Collected(windows)
    kl, agrees = np.zeros(len(mine.nll)), np.zeros(len(mine.nll))
    ours, originals = (_pieces(each, windows, batch_size, mine.offsets) for each in (session, parent))
    for (places, logits), (_, original) in zip(ours, originals, strict=True):
        mine.nll[places], mine.top1[places] = token_nll(logits, mine.targets[places])
        theirs.nll[places], theirs.top1[places] = token_nll(original, mine.targets[places])
        kl[places], agrees[places] = divergence(original, logits)
    return mine.scored(), theirs.scored(), Divergence(kl, agrees)


def largest_batch(session: Session, windows: Sequence[Window], batch_size: int) -> int:
    """How many windows really go together at most, when ``batch_size`` may."""
    return max((len(batch) for batch in _batches(session, windows, batch_size)), default=0)


class _Collected:
    """Results of windows, filled in whatever order the batches come."""

    def __init__(self, windows: Sequence[Window]) -> None:
        counts = [len(window.targets) for window in windows]
        self.offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.targets = _joined([window.targets for window in windows])
        self.nll, self.top1 = np.full(len(self.targets), np.nan), np.zeros(len(self.targets))
        self._windows, self._counts = windows, counts

    def scored(self) -> ScoredTokens:
        return ScoredTokens(
            documents=_joined([window.documents for window in self._windows]),
            items=np.repeat(np.asarray([window.item for window in self._windows], dtype=np.int64), self._counts),
            starts=_joined([window.starts for window in self._windows]),
            ends=_joined([window.ends for window in self._windows]),
            targets=self.targets,
            nll=self.nll,
            top1=self.top1,
        )


def _batches(session: Session, windows: Sequence[Window], batch_size: int) -> Iterator[list[int]]:
    """Indices of windows that go together: at most ``batch_size``, with a bounded number of logits, of one shape.

    Causal windows of nearly one length go together too, as do decoder inputs of any: what stands after the end of a
    row that is read from left to right changes nothing in it.
    """
    facts = session.facts
    for window in windows:
        if facts.positions is not None and len(window.ids) > facts.positions:
            raise HarnessError(
                f"a window of {len(window.ids)} tokens is longer than the model's {facts.positions} positions; "
                "'items.context_words' makes continuations and clozes shorter"
            )
    order = [index for index, window in enumerate(windows) if len(window.read)]
    order.sort(key=lambda index: windows[index].shape, reverse=True)
    batch: list[int] = []
    reads = 0
    for index in order:
        more = len(windows[index].read)
        full = len(batch) == batch_size or (reads + more) * facts.vocabulary_size > _LOGITS
        if batch and (full or not _fit(facts.family, windows[batch[0]], windows[index], len(batch) + 1)):
            yield batch
            batch, reads = [], 0
        batch.append(index)
        reads += more
    if batch:
        yield batch


def _fit(family: str, longest: Window, window: Window, rows: int) -> bool:
    """Whether a window may join the batch that ``longest`` began."""
    length = len(longest.ids)
    if family != "causal":
        return len(window.ids) == length and rows * (length + longest.shape[1]) <= _TOKENS
    return len(window.ids) >= _PADDED * length and rows * length <= CHUNK


def _pieces(
    session: Session, windows: Sequence[Window], batch_size: int, offsets: Ints
) -> Iterator[tuple[Ints, Logits]]:
    """Logits of all windows, a bounded number at a time, with the places of their tokens among all scored ones.

    Batches are put together as well as cut: what is computed of logits costs little more for many rows than for one.
    """
    size = max(1, _PIECE // session.facts.vocabulary_size)
    places: list[Ints] = []
    pending: list[Logits] = []
    rows = 0
    for batch in _batches(session, windows, batch_size):
        mine = np.concatenate([np.arange(offsets[index], offsets[index + 1]) for index in batch])
        for logits in _run(session, [windows[index] for index in batch]):
            places.append(mine[: len(logits)])
            mine = mine[len(logits) :]
            pending.append(logits)
            rows += len(logits)
            if rows >= size:
                together, ready = np.concatenate(places), np.concatenate(pending) if len(pending) > 1 else logits
                whole = rows // size * size
                for start in range(0, whole, size):
                    yield together[start : start + size], ready[start : start + size]
                places, pending, rows = [together[whole:]], [ready[whole:].copy()], rows - whole
    if rows:
        yield np.concatenate(places), np.concatenate(pending)


def _run(session: Session, windows: Sequence[Window]) -> Iterator[Logits]:
    """One batch; its first window is the longest."""
    longest, longest_decoder = windows[0].shape
    length = longest_decoder or longest
    ids = np.stack([_padded(window.ids, longest) for window in windows])
    decoders = [_padded(window.decoder_ids, longest_decoder) for window in windows if window.decoder_ids is not None]
    read = np.concatenate([row * length + window.read for row, window in enumerate(windows)])
    return session.score(ids, read, np.stack(decoders) if decoders else None)


def _padded(ids: Ints, length: int) -> Ints:
    return np.pad(ids, (0, length - len(ids)), mode="edge")


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
