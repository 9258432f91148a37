"""Clozes: whole words to fill in, between the words that stand left and right of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import takewhile

import numpy as np

from harness.corpora.corpus import Document
from harness.items.dealing import deal_in_order, generator, words_of
from harness.items.items import Cloze

FEWEST_LETTERS = 3


def clozes(documents: Sequence[Document], count: int, context_words: int, right_words: int, seed: int) -> list[Cloze]:
    """Up to ``count`` clozes with exactly ``context_words`` words to the left and ``right_words`` to the right.

    Words are chosen at random among those of at least three letters and nothing else but punctuation after them, which
    goes to the right: not ``"peace``, ``don't`` or ``well-known``. With ``right_words`` 0, only words with
    punctuation after them are chosen, so that the right is never empty. They are dealt evenly over the documents; fewer
    than ``count`` where the text does not hold more. ``harness.items.dealing`` says what changes which items.
    Raises ValueError for a context below one word or fewer than no words to the right.
    """
    if context_words < 1 or right_words < 0:
        raise ValueError(f"a context of {context_words} words to the left and {right_words} to the right")
    sources = (
        _of_document(index, words_of(document), context_words, right_words, seed)
        for index, document in enumerate(documents)
    )
    return deal_in_order(sources, count)


def _of_document(index: int, words: list[str], before: int, after: int, seed: int) -> Iterator[Cloze]:
    """All clozes of a document in random order."""
    for place in generator(seed, "clozes", index).permutation(np.arange(before, len(words) - after)):
        word, punctuation = _split_punctuation(words[place])
        right = " ".join([punctuation, *words[place + 1 : place + 1 + after]])
        if len(word) >= FEWEST_LETTERS and right:
            yield Cloze(index, " ".join(words[place - before : place]), word, right)


def _split_punctuation(token: str) -> tuple[str, str]:
    """A word and the punctuation after it; the word is empty where the token is not of that form."""
    word = "".join(takewhile(str.isalpha, token))
    punctuation = token[len(word) :]
    # a letter's combining accent is no letter by itself; only punctuation proper leaves the word whole
    if all(unicodedata.category(character).startswith("P") for character in punctuation):
        return word, punctuation
    return "", token
