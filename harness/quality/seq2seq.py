"""Sequence-to-sequence models: frozen spans for perplexity, and infilling of one sentinel for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from harness.corpora.corpus import Document
from harness.corpora.corruption import MEAN_SPAN, corrupt_spans, sentinel_ids
from harness.engines.base import SessionFacts
from harness.errors import HarnessError
from harness.quality.family import Scoring, TextWindows, need_tokens, passage
from harness.quality.likelihood import Flags, Ints
from harness.quality.text import Stream, stream
from harness.quality.windows import Window


class Seq2Seq:
    """Windows for a T5-like model: the encoder reads ``left <extra_id_0> right``, the decoder is asked for what the
    sentinel stands for. With the closing ``<extra_id_1>`` that is a normalised probability over strings."""

    boundary: Flags | None = None

    def __init__(self, tokenizer: Any, facts: SessionFacts) -> None:
        self._tokenizer, self._facts = tokenizer, facts
        self.unknown: int | None = tokenizer.unk_token_id
        self._sentinels = sentinel_ids(tokenizer)
        if len(self._sentinels) < 2:
            raise HarnessError("the tokenizer has no <extra_id_0> and <extra_id_1>, which a seq2seq model needs")
        self.closing: int | None = int(self._sentinels[1])
        self._pad, self._end = need_tokens(tokenizer, ("pad", "eos"), "a seq2seq model")

    def text(self, documents: Sequence[Document], scoring: Scoring) -> TextWindows:
        """Blocks with spans of mean length 3 dropped with a fixed seed; content tokens are scored, sentinels are
        context."""
        size = scoring.window(self._facts)
        text = stream(self._tokenizer, documents)
        rng = np.random.default_rng(scoring.mask_seed)
        windows = []
        positions = 0
        for item, start in enumerate(range(0, len(text.ids) - size + 1, size)):
            block = text.ids[start : start + size]
            corrupted = corrupt_spans(block, rng, scoring.mask_share, MEAN_SPAN, self._sentinels, self._end)
            content = np.flatnonzero(corrupted.origin >= 0)
            decoder = np.concatenate([[self._pad], corrupted.target[:-1]])
            windows.append(text.window(corrupted.source, content, start + corrupted.origin[content], item, decoder))
            positions += len(decoder)
        about = {
            "protocol": "frozen spans",
            "block_size": size,
            "corrupted": scoring.mask_share,
            "mean_span": MEAN_SPAN,
            "mask_seed": scoring.mask_seed,
        }
        scored = sum(len(window.targets) for window in windows)
        return TextWindows(windows, about, content_share=scored / positions if positions else 1.0)

    def continuation(self, before: str, after: str, document: int, item: int) -> list[Window]:
        """See :class:`harness.quality.family.Family`: without the closing sentinel, for the text goes on."""
        parts = passage(self._tokenizer, before, after, "", document)
        return [self._infilled(parts.left.ids, parts.middle, parts.right.ids, item, closed=False)]

    def word(self, left: str, word: str, right: str | None, document: int, item: int) -> list[Window] | None:
        """See :class:`harness.quality.family.Family`: the word and its closing sentinel."""
        parts = passage(self._tokenizer, left, f" {word}", right or "", document)
        return [self._infilled(parts.left.ids, parts.middle, parts.right.ids, item, closed=True)]

    def sentence(self, text: str, document: int, item: int) -> list[Window]:
        """See :class:`harness.quality.family.Family`: the sum of its words' infilling log-likelihoods."""
        tokens = stream(self._tokenizer, [Document("sentence", text)], document)
        words = self._tokenizer(text, add_special_tokens=False).word_ids()
        windows = []
        for _, group in groupby(enumerate(words), key=lambda pair: pair[1]):
            places = [i for i, _ in group]
            mine = slice(places[0], places[-1] + 1)
            word = Stream(tokens.ids[mine], tokens.documents[mine], tokens.starts[mine], tokens.ends[mine])
            windows.append(self._infilled(tokens.ids[: mine.start], word, tokens.ids[mine.stop :], item, closed=True))
        return windows

    def _infilled(self, left: Ints, content: Stream, right: Ints, item: int, closed: bool) -> Window:
        """One window: source, decoder input, and the content (with its closing sentinel) as targets."""
        first, second = self._sentinels[:2]
        source = np.concatenate([left, [first], right, [self._end]])
        scored = content
        if closed:
            end = content.ends[-1:]
            scored = Stream(
                np.append(content.ids, second), np.append(content.documents, content.documents[-1:]),
                np.append(content.starts, end), np.append(content.ends, end),
            )  # fmt: skip
        decoder = np.concatenate([[self._pad, first], scored.ids[:-1]])
        positions = np.arange(len(scored.ids))
        return scored.window(source, positions + 1, positions, item, decoder)
