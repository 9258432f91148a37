"""The questions of a run: dealt once from its documents, then put to every variant in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.corpora.corpus import Document
from harness.items.blimp import BlimpPairs
from harness.items.choices import choices
from harness.items.cloze import clozes
from harness.items.continuations import continuations
from harness.items.items import Choice, Cloze, Continuation
from harness.records.hashing import digest


@dataclass(frozen=True)
class Quotas:
    """How many items of each kind are dealt, and how long they are, in words."""

    continuations: int = 50
    clozes: int = 100
    choices: int = 60
    context_words: int = 24
    continuation_words: int = 8
    right_words: int = 12
    seed: int = 0


@dataclass(frozen=True)
class Questionnaire:
    """Items of each kind; fewer than asked for where the text holds no more. ``blimp`` where it was asked for."""

    continuations: tuple[Continuation, ...] = ()
    clozes: tuple[Cloze, ...] = ()
    choices: tuple[Choice, ...] = ()
    blimp: BlimpPairs | None = None

    @property
    def hash(self) -> str:
        """Names the items: runs with the same hash asked the same."""
        kinds = [[item.question for item in kind] for kind in (self.continuations, self.clozes, self.choices)]
        return digest([kinds, self.blimp.hash if self.blimp else ""])


def draw_up(documents: Sequence[Document], quotas: Quotas, blimp: BlimpPairs | None = None) -> Questionnaire:
    """Items of all kinds, dealt evenly over the documents."""
    return Questionnaire(
        continuations=tuple(
            continuations(documents, quotas.continuations, quotas.context_words, quotas.continuation_words, quotas.seed)
        ),
        clozes=tuple(clozes(documents, quotas.clozes, quotas.context_words, quotas.right_words, quotas.seed)),
        choices=tuple(choices(documents, quotas.choices, quotas.seed)),
        blimp=blimp,
    )
