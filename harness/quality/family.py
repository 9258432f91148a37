"""How a family of models is asked: the same texts and items, cut into the windows that its models understand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from harness.corpora.corpus import Document
from harness.engines.base import SessionFacts
from harness.errors import HarnessError
from harness.quality.likelihood import Flags
from harness.quality.text import DocumentSums, Stream, stream
from harness.quality.windows import Window

LONGEST = 1024
"""The window where a suite asks for the model's longest and the model has no limit."""


@dataclass(frozen=True)
class Scoring:
    """How a perplexity is scored. ``block_size`` counts all tokens that the model sees in a window, 0 stands for its
    longest input; ``stride`` is that of protocol ``sliding``, 0 for half a window. ``batch_size`` windows run at once,
    unless the variant is quantised. ``detokenise`` makes protocol ``lm-eval`` undo WikiText's tokenisation."""

    protocol: str = "block"
    block_size: int = 128
    stride: int = 0
    batch_size: int = 8
    mask_share: float = 0.15
    mask_seed: int = 0
    detokenise: bool = False

    def window(self, facts: SessionFacts) -> int:
        """Tokens of a window. Raises HarnessError where that is more than the model can read."""
        if not self.block_size:
            return facts.positions or LONGEST
        if facts.positions is not None and self.block_size > facts.positions:
            raise HarnessError(f"block_size {self.block_size} is longer than the model's {facts.positions} positions")
        return self.block_size


@dataclass(frozen=True)
class TextWindows:
    """A text cut for scoring, and the protocol as it is printed. ``content_share`` is the share of predicted positions
    that hold content: below 1 only where a decoder also predicts sentinels. ``sizes`` are bytes and words a document
    to divide by, where they are not those of the scored spans."""

    windows: list[Window]
    protocol: dict[str, Any]
    content_share: float = 1.0
    sizes: dict[int, tuple[int, int]] | None = None

    def sized(self, sums: list[DocumentSums]) -> list[DocumentSums]:
        """Sums with the bytes and words to divide by."""
        if self.sizes is None:
            return sums
        return [DocumentSums(s.document, s.nll, s.tokens, *self.sizes[s.document]) for s in sums]


class Family(Protocol):
    """A family's way of being asked. Every method gives the windows of one item; the sum of their NLL is the item's."""

    boundary: Flags | None
    """Tokens [vocabulary] that begin a new word, where the end of a word is a prediction of its own."""
    closing: int | None
    """The token that ends an infilled word."""
    unknown: int | None
    """The token that stands for what the vocabulary cannot spell: predicting it predicts no word."""

    def text(self, documents: Sequence[Document], scoring: Scoring) -> TextWindows:
        """A text under the family's perplexity protocol."""

    def continuation(self, before: str, after: str, document: int, item: int) -> list[Window]:
        """``after`` given ``before``: its NLL is that of the string, by the chain rule."""

    def word(self, left: str, word: str, right: str | None, document: int, item: int) -> list[Window] | None:
        """A whole word given what is left of it, or both sides; None where the family cannot see the right side."""

    def sentence(self, text: str, document: int, item: int) -> list[Window]:
        """A sentence, by what stands for its log-likelihood in this family."""


@dataclass(frozen=True)
class Passage:
    """A text with one part singled out: three streams that make up the tokens of the whole."""

    left: Stream
    middle: Stream
    right: Stream


def passage(tokenizer: Any, before: str, content: str, after: str, document: int) -> Passage:
    """Tokenise a text as a whole and split it by where its parts end. A token across a border belongs to the content,
    and so do all pieces of its last character, so that the content is never cut short. Spans are those in the whole
    text."""
    whole = stream(tokenizer, [Document("item", before + content + after)], document)
    start, stop = len(before.encode("utf-8")), len((before + content).encode("utf-8"))
    left, right = whole.ends <= start, (whole.starts >= stop) & (whole.ends > stop)
    parts = [
        Stream(whole.ids[mine], whole.documents[mine], whole.starts[mine], whole.ends[mine])
        for mine in (left, ~left & ~right, right)
    ]
    if not len(parts[1].ids):
        raise HarnessError(f"the tokenizer makes no token of '{content.strip()}'")
    return Passage(*parts)


def need_tokens(tokenizer: Any, names: Sequence[str], why: str) -> list[int]:
    """Ids of special tokens. Raises HarnessError that names the one that the tokenizer lacks."""
    ids = []
    for name in names:
        found = getattr(tokenizer, f"{name}_token_id")
        if found is None:
            raise HarnessError(f"the tokenizer has no {name}_token, which {why} needs")
        ids.append(int(found))
    return ids


def joined(first: Stream, second: Stream) -> Stream:
    """Two streams of one document as one."""
    return Stream(
        np.concatenate([first.ids, second.ids]),
        np.concatenate([first.documents, second.documents]),
        np.concatenate([first.starts, second.starts]),
        np.concatenate([first.ends, second.ends]),
    )
