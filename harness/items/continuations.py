"""Continuations: the same words to expect after the same words, wherever in a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.corpora.corpus import Document
from harness.items.dealing import deal_in_order, generator, words_of
from harness.items.items import Continuation


def continuations(
    documents: Sequence[Document], count: int, context_words: int, continuation_words: int, seed: int
) -> list[Continuation]:
    """Up to ``count`` continuations of exactly ``continuation_words`` words after exactly ``context_words`` words.

    They are dealt evenly over the documents, from places drawn at random; fewer than ``count`` where the text does
    not hold more. ``harness.items.dealing`` says what changes which items. Raises ValueError for sizes below one.
    """
    if context_words < 1 or continuation_words < 1:
        raise ValueError(f"a context of {context_words} and a continuation of {continuation_words} words")
    sources = (
        _of_document(index, words_of(document), context_words, continuation_words, seed)
        for index, document in enumerate(documents)
    )
    return deal_in_order(sources, count)


def _of_document(index: int, words: list[str], before: int, after: int, seed: int) -> Iterator[Continuation]:
    """All continuations of a document in random order, in which disjoint ones come before any that overlap them."""
    rng = generator(seed, "continuations", index)
    for offset in rng.permutation(after):
        for start in rng.permutation(np.arange(before + offset, len(words) - after + 1, after)):
            prefix, continuation = words[start - before : start], words[start : start + after]
            yield Continuation(index, " ".join(prefix), " " + " ".join(continuation))
