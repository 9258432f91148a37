"""The three kinds of item: a continuation to expect, a word to fill in, and a sentence to choose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Continuation:
    """How likely is ``continuation`` after ``prefix``?

    The text is ``prefix + continuation``: ``continuation`` begins with its one space, ``prefix`` ends with a word.
    ``document`` is the index of the cluster that intervals are made over.
    """

    document: int
    prefix: str
    continuation: str

    @property
    def question(self) -> tuple[str, ...]:
        """The text without where it came from: two items with the same one ask the same."""
        return (self.prefix, self.continuation)


@dataclass(frozen=True)
class Cloze:
    """Which word stands between ``left`` and ``right``?

    The text is ``left + " " + word + right``: ``word`` is at least three letters and nothing else, ``right`` begins
    with a space or punctuation. ``document`` is the index of the cluster that intervals are made over.
    """

    document: int
    left: str
    word: str
    right: str

    @property
    def question(self) -> tuple[str, ...]:
        """The text without where it came from: two items with the same one ask the same."""
        return (self.left, self.word, self.right)


@dataclass(frozen=True)
class Choice:
    """Which of two different sentences is likelier? ``good`` should be; ``kind`` says in what way ``bad`` is worse.

    ``document`` is the index of the cluster that intervals are made over; for BLiMP, that is the paradigm.
    """

    document: int
    good: str
    bad: str
    kind: str

    @property
    def question(self) -> tuple[str, ...]:
        """The text without where it came from: two items with the same one ask the same."""
        return (self.good, self.bad)
