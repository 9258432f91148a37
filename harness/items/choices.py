"""Choices: sentences of a corpus, each beside a version of it that a fixed, seeded corruption made worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.corpora.corpus import Document
from harness.items.dealing import deal, generator, words_of
from harness.items.items import Choice

KINDS = ("swap", "replace", "reorder")
FEWEST_WORDS, MOST_WORDS = 6, 25
FEWEST_LETTERS_REPLACED = 4

Words = list[str]


def choices(documents: Sequence[Document], count: int, seed: int) -> list[Choice]:
    """Up to ``count`` choices between a sentence and its corruption, dealt evenly over documents and kinds.

    The kinds, of which each three in a row hold one of each in random order:
    ``swap``: two neighbouring, different, alphabetic words change places. ``replace``: an alphabetic word of four or
    more letters becomes another word, drawn by frequency among the alphabetic words of all documents whose initial
    has the same case. ``reorder``: the words are shuffled until their order differs.
    The first and the last word, with their punctuation, always stay. A sentence gives one choice at most, and is passed
    over where the kind in turn is impossible; fewer than ``count`` where the text does not hold more.
    ``harness.items.dealing`` says what changes which items. Here other documents matter in two more respects: the kind
    is by turn over all of them, and so are the frequencies of ``replace``. Which sentences a document offers in which
    order, and what ``swap`` and ``reorder`` make of each, depend on that document alone.
    """
    texts = [words_of(document) for document in documents]
    frequencies = _frequencies(texts)
    unused = [_shuffled(_sentences(words), generator(seed, "sentences", i)) for i, words in enumerate(texts)]
    asked: set[tuple[str, ...]] = set()

    def draw(document: int, turn: int) -> Choice | None:
        kind = _kind(turn, seed)
        for place, sentence in unused[document].items():
            worse = _corrupted(sentence, kind, frequencies, generator(seed, kind, document, place))
            if worse is None:
                continue
            choice = Choice(document, " ".join(sentence), " ".join(worse), kind)
            if choice.question not in asked:
                asked.add(choice.question)
                del unused[document][place]
                return choice
        return None

    return deal(len(documents), count, draw)


def _kind(turn: int, seed: int) -> str:
    # in a fixed order, a number of documents that three divides would give each document only one kind
    block, place = divmod(turn, len(KINDS))
    return KINDS[generator(seed, "kinds", block).permutation(len(KINDS))[place]]


def _sentences(words: Words) -> list[Words]:
    """The sentences of 6 to 25 words, split after ``.``, ``?`` or ``!`` where the next word begins with a capital.

    The first and the last piece are left out, since excerpts are cut in mid-sentence; all others begin with a capital
    and end with one of the three. An abbreviation before a name ends a sentence by this rule, too.
    """
    ends = [
        i + 1 for i, (word, following) in enumerate(pairwise(words)) if word[-1] in ".?!" and following[0].isupper()
    ]
    return [words[start:end] for start, end in pairwise(ends) if FEWEST_WORDS <= end - start <= MOST_WORDS]


def _shuffled(sentences: list[Words], rng: np.random.Generator) -> dict[int, Words]:
    """The sentences in random order, by their place in the document."""
    return {int(place): sentences[place] for place in rng.permutation(len(sentences))}


@dataclass(frozen=True)
class _Frequencies:
    """Words and how often each occurs; ``same`` gives the places of a word in all its cases, by the word casefolded."""

    words: tuple[str, ...]
    counts: NDArray[np.int64]
    same: dict[str, list[int]]

    def draw(self, other_than: str, rng: np.random.Generator) -> str | None:
        """A word by frequency that is not the given one in any case; None where there is no other."""
        counts = self.counts.copy()
        counts[self.same.get(other_than.casefold(), [])] = 0
        cumulative = np.cumsum(counts)
        if not len(cumulative) or not cumulative[-1]:
            return None
        return self.words[int(np.searchsorted(cumulative, rng.integers(cumulative[-1]), side="right"))]


def _frequencies(texts: Iterable[Words]) -> dict[bool, _Frequencies]:
    """The frequencies of alphabetic words, apart by whether their initial is a capital."""
    counts = Counter(word for words in texts for word in words if word.isalpha())
    found = {}
    for capital in (False, True):
        words = tuple(sorted(word for word in counts if word[0].isupper() == capital))
        same: dict[str, list[int]] = {}
        for place, word in enumerate(words):
            same.setdefault(word.casefold(), []).append(place)
        found[capital] = _Frequencies(words, np.asarray([counts[word] for word in words], dtype=np.int64), same)
    return found


def _corrupted(
    sentence: Words, kind: str, frequencies: dict[bool, _Frequencies], rng: np.random.Generator
) -> Words | None:
    """The sentence made worse, or None where this kind is impossible; its first and last word stay."""
    first, *interior, last = sentence
    if kind == "swap":
        worse = _swapped(interior, rng)
    elif kind == "replace":
        worse = _replaced(interior, frequencies, rng)
    else:
        worse = _reordered(interior, rng)
    return None if worse is None else [first, *worse, last]


def _swapped(words: Words, rng: np.random.Generator) -> Words | None:
    places = [
        i
        for i, (one, two) in enumerate(pairwise(words))
        if one.isalpha() and two.isalpha() and one.casefold() != two.casefold()
    ]
    if not places:
        return None
    place = int(rng.choice(places))
    return [*words[:place], words[place + 1], words[place], *words[place + 2 :]]


def _replaced(words: Words, frequencies: dict[bool, _Frequencies], rng: np.random.Generator) -> Words | None:
    places = [i for i, word in enumerate(words) if word.isalpha() and len(word) >= FEWEST_LETTERS_REPLACED]
    for place in rng.permutation(places):
        other = frequencies[words[place][0].isupper()].draw(words[place], rng)
        if other is not None:
            return [*words[:place], other, *words[place + 1 :]]
    return None


def _reordered(words: Words, rng: np.random.Generator) -> Words | None:
    if len(set(words)) < 2:
        return None
    shuffled = words
    while shuffled == words:
        shuffled = [words[i] for i in rng.permutation(len(words))]
    return shuffled
