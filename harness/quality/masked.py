"""Masked models: frozen masks for perplexity, and tokens revealed from left to right for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from harness.corpora.corpus import Document
from harness.corpora.corruption import IGNORED, mask_tokens
from harness.engines.base import SessionFacts
from harness.quality.family import Scoring, TextWindows, joined, need_tokens, passage
from harness.quality.likelihood import Flags, Ints
from harness.quality.text import Stream, stream
from harness.quality.windows import Window


class Masked:
    """Windows for a masked model. A span's NLL is the sum over its tokens, each predicted with itself and the rest of
    the span masked: exact for the string, given that it has so many tokens."""

    boundary: Flags | None = None

    def __init__(self, tokenizer: Any, facts: SessionFacts) -> None:
        self._tokenizer, self._facts = tokenizer, facts
        self.closing: int | None = None
        self.unknown: int | None = tokenizer.unk_token_id
        self._cls, self._sep, self._mask = need_tokens(tokenizer, ("cls", "sep", "mask"), "a masked model")

    def text(self, documents: Sequence[Document], scoring: Scoring) -> TextWindows:
        """Blocks between [CLS] and [SEP], masked as in training, but with a seed."""
        size = scoring.window(self._facts)
        text = stream(self._tokenizer, documents)
        rng = np.random.default_rng(scoring.mask_seed)
        windows = []
        content = size - 2
        for item, start in enumerate(range(0, len(text.ids) - content + 1, content)):
            block = text.ids[start : start + content]
            masked = mask_tokens(block, rng, scoring.mask_share, self._mask, len(self._tokenizer))
            chosen = np.flatnonzero(masked.labels != IGNORED)
            windows.append(text.window(self._framed(masked.ids), chosen + 1, start + chosen, item))
        about = {
            "protocol": "frozen masks",
            "block_size": size,
            "mask_share": scoring.mask_share,
            "mask_seed": scoring.mask_seed,
        }
        return TextWindows(windows, about)

    def continuation(self, before: str, after: str, document: int, item: int) -> list[Window]:
        """See :class:`harness.quality.family.Family`: everything after ``before`` masked, revealed left to right."""
        parts = passage(self._tokenizer, before, after, "", document)
        return self._revealed(joined(parts.left, parts.middle), [_after(parts.left, parts.middle)], item)

    def word(self, left: str, word: str, right: str | None, document: int, item: int) -> list[Window] | None:
        """See :class:`harness.quality.family.Family`."""
        parts = passage(self._tokenizer, left, f" {word}", right or "", document)
        whole = joined(joined(parts.left, parts.middle), parts.right)
        return self._revealed(whole, [_after(parts.left, parts.middle)], item)

    def sentence(self, text: str, document: int, item: int) -> list[Window]:
        """See :class:`harness.quality.family.Family`: the pseudo-log-likelihood, each token with the rest of its word
        masked (within-word left-to-right, Kauf & Ivanova 2023, arXiv 2305.10588)."""
        tokens = stream(self._tokenizer, [Document("sentence", text)], document)
        words = self._tokenizer(text, add_special_tokens=False).word_ids()
        spans = [np.asarray([i for i, _ in group]) for _, group in groupby(enumerate(words), key=lambda pair: pair[1])]
        return self._revealed(tokens, spans, item)

    def sentence_by_token(self, text: str, document: int, item: int) -> list[Window]:
        """The original pseudo-log-likelihood: each token masked alone (Salazar et al. 2020, arXiv 1910.14659)."""
        tokens = stream(self._tokenizer, [Document("sentence", text)], document)
        return self._revealed(tokens, [np.asarray([i]) for i in range(len(tokens.ids))], item)

    def _revealed(self, text: Stream, spans: Sequence[Ints], item: int) -> list[Window]:
        """A window a token: it and what follows it in its span are masked."""
        windows = []
        for span in spans:
            for place, position in enumerate(span):
                ids = text.ids.copy()
                ids[span[place:]] = self._mask
                windows.append(text.window(self._framed(ids), np.asarray([position + 1]), np.asarray([position]), item))
        return windows

    def _framed(self, ids: Ints) -> Ints:
        return np.concatenate([[self._cls], ids, [self._sep]])


def _after(left: Stream, middle: Stream) -> Ints:
    return np.arange(len(left.ids), len(left.ids) + len(middle.ids))
