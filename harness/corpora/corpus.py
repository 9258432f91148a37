"""The corpus: documents in splits, and its hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from harness.errors import HarnessError
from harness.records.hashing import digest

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Document:
    """A named text: the cluster that intervals of quality are made over."""

    name: str
    text: str


@dataclass(frozen=True)
class Corpus:
    """Documents in the splits ``train``, ``validation`` and ``test``. ``note`` says what a reader must know of it."""

    name: str
    splits: Mapping[str, tuple[Document, ...]]
    note: str = ""

    def __post_init__(self) -> None:
        for split in SPLITS:
            if not any(document.text.strip() for document in self.splits.get(split, ())):
                raise HarnessError(f"corpus '{self.name}': the {split} split is empty")

    @cached_property
    def hashes(self) -> dict[str, str]:
        """A hash a split, over names and texts in order."""
        return {split: digest([[doc.name, doc.text] for doc in self.splits[split]]) for split in SPLITS}

    @property
    def hash(self) -> str:
        """Names the whole corpus: all splits."""
        return digest(self.hashes)

    def provenance(self, split: str) -> dict[str, str]:
        """What a record says of the text it was measured on."""
        return {"name": self.name, "split": split, "hash": self.hashes[split]}


def excerpt(document: Document, size: int) -> Document:
    """About ``size`` bytes from the middle of a document, on whole words; the document itself where it is shorter.

    Openings and closings are formulaic in many corpora, so neither is taken.
    """
    encoded = document.text.encode("utf-8")
    if len(encoded) <= size:
        return document
    start = (len(encoded) - size) // 2
    text = encoded[start : start + size].decode("utf-8", errors="ignore")
    first, last = text.find(" "), text.rfind(" ")
    whole_words = text[first + 1 : last] if 0 <= first < last else text
    return Document(document.name, whole_words)
