"""Text as tokens with their spans, in the forms that windows are cut from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.corpora.corpus import Document
from harness.corpora.packing import tokenize
from harness.errors import HarnessError
from harness.quality.likelihood import Ints, ScoredTokens
from harness.quality.windows import Window

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Stream:
    """Tokens one after another: four arrays of equal length. A token's span, in UTF-8 bytes of its document, begins
    where the token before it ended."""

    ids: Ints
    documents: Ints
    starts: Ints
    ends: Ints

    def window(self, ids: Ints, read: Ints, positions: Ints, item: int, decoder_ids: Ints | None = None) -> Window:
        """A window in which ``ids`` go in and the logits at ``read`` predict the stream's tokens at ``positions``."""
        return Window(
            ids=ids,
            read=read,
            targets=self.ids[positions],
            documents=self.documents[positions],
            starts=self.starts[positions],
            ends=self.ends[positions],
            item=item,
            decoder_ids=decoder_ids,
        )


def stream(tokenizer: Any, documents: Sequence[Document], first_document: int = 0) -> Stream:
    """Documents tokenised one after another, without special tokens; empty documents give no tokens.

    ``first_document`` numbers the first one. Raises HarnessError for text that UTF-8 cannot hold (a lone surrogate).
    """
    for document in documents:
        try:
            document.text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise HarnessError(
                f"document '{document.name}' is not valid text: character {error.start} is no character"
            ) from error
    text = tokenize(tokenizer, documents)
    ends = np.zeros(len(text.ids), dtype=np.int64)
    for index in np.unique(text.documents):
        mine = text.documents == index
        ends[mine] = np.cumsum(text.byte_lengths[mine])
    return Stream(text.ids, text.documents + first_document, ends - text.byte_lengths, ends)


@dataclass(frozen=True)
class DocumentSums:
    """What was scored in one document: nats, tokens, and the bytes and white-space separated words they cover."""

    document: int
    nll: float
    tokens: int
    bytes: int
    words: int


def sums_by_document(tokens: ScoredTokens, documents: Sequence[Document]) -> list[DocumentSums]:
    """Sums a document, for documents in which something was scored. A word counts where its first byte was scored."""
    found = []
    for index in np.unique(tokens.documents):
        mine = tokens.documents == index
        order = np.argsort(tokens.starts[mine], kind="stable")
        starts, ends = tokens.starts[mine][order], tokens.ends[mine][order]
        firsts = _word_starts(documents[index].text)
        place = np.searchsorted(starts, firsts, side="right") - 1
        words = int(((place >= 0) & (firsts < ends[place])).sum())
        total = float(tokens.nll[mine].sum())
        found.append(DocumentSums(int(index), total, int(mine.sum()), int((ends - starts).sum()), words))
    return found


def _word_starts(text: str) -> Ints:
    """Where words begin, in UTF-8 bytes."""
    starts, position, done = [], 0, 0
    for match in _WORD.finditer(text):
        position += len(text[done : match.start()].encode("utf-8"))
        done = match.start()
        starts.append(position)
    return np.asarray(starts, dtype=np.int64)
