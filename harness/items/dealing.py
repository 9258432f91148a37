"""Dealing items evenly over documents, and the random numbers that each document draws for itself.

What changes which items there are, for every builder of this folder:

- A larger ``count`` adds items at the end of the list; the others stay as they are.
- A document that is added at the end, or a change in another document, leaves a document's own items and their order
  as they are; only how many of them are dealt changes, since all documents share ``count``. Two exceptions: text that
  several documents share is asked about once, in the document whose turn comes first; and ``choices`` looks at all
  documents in two respects that it names.
- A document that moves to another place in the sequence draws other random numbers, as does another ``seed``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np

from harness.corpora.corpus import Document


class Item(Protocol):
    """What all items share: ``question`` is equal where two ask the same."""

    @property
    def question(self) -> tuple[str, ...]: ...


ItemT = TypeVar("ItemT", bound=Item)


def words_of(document: Document) -> list[str]:
    """What stands between white space in a document; joined by single spaces, its normalised text."""
    return document.text.split()


def generator(seed: int, job: str, *places: int) -> np.random.Generator:
    """A random generator for one job at one place, such as a document, that nothing else draws from."""
    return np.random.default_rng([seed, *places, *job.encode("ascii")])


def deal(documents: int, count: int, draw: Callable[[int, int], ItemT | None]) -> list[ItemT]:
    """Up to ``count`` items, one of each document in turn, so that the first documents may give one more.

    ``draw(document, turn)`` gives the next item of a document, or None; ``turn`` is how many have been dealt before.
    A document without an item is left out of that round. Ends early after a round in which no document had one.
    """
    items: list[ItemT] = []
    while len(items) < count:
        dealt_before = len(items)
        for document in range(documents):
            item = draw(document, len(items)) if len(items) < count else None
            if item is not None:
                items.append(item)
        if len(items) == dealt_before:
            break
    return items


def deal_in_order(sources: Iterable[Iterator[ItemT]], count: int) -> list[ItemT]:
    """Up to ``count`` items, dealt evenly from a source a document, each in its own order; never a question twice."""
    asked: set[tuple[str, ...]] = set()
    unasked = [_unasked(source, asked) for source in sources]
    return deal(len(unasked), count, lambda document, turn: next(unasked[document], None))


def _unasked(source: Iterator[ItemT], asked: set[tuple[str, ...]]) -> Iterator[ItemT]:
    for item in source:
        if item.question not in asked:
            asked.add(item.question)
            yield item
