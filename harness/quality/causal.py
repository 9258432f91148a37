"""Causal models: the chain rule, left to right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.corpora.corpus import Document
from harness.engines.base import SessionFacts
from harness.errors import HarnessError
from harness.quality.detokenise import detokenise_wikitext
from harness.quality.family import Scoring, TextWindows, joined, passage
from harness.quality.likelihood import BOUNDARY, Flags, Ints
from harness.quality.protocols import block_windows, half_windows, rolling_windows, sliding_windows
from harness.quality.text import Stream, stream
from harness.quality.windows import Window

_PART_OF_A_LETTER = "\N{REPLACEMENT CHARACTER}"
"""What a byte-level token decodes to that begins or ends within a character; such characters are mostly letters."""
_PART_OF_A_MARK = "âĢ"
"""Bytes E2 80 in byte-level BPE, with which curly quotes, dashes and dots begin (U+2000 to U+203F)."""


class Causal:
    """Windows for a causal model.

    Items begin with what the tokenizer puts in front by itself (a BOS once, or nothing); a sentence, which has no
    context, begins with BOS, else EOS, as lm-evaluation-harness does; where there is neither, its first token is
    context only.
    """

    def __init__(self, tokenizer: Any, facts: SessionFacts) -> None:
        self._tokenizer, self._facts = tokenizer, facts
        self.closing: int | None = None
        self.unknown: int | None = tokenizer.unk_token_id
        own = list(tokenizer("")["input_ids"])[:1]
        bos = tokenizer.bos_token_id
        self._front = np.asarray([i for i in own if i == bos], dtype=np.int64)
        self._first: int | None = bos if bos is not None else tokenizer.eos_token_id
        self.boundary: Flags | None = _begins_word(tokenizer, facts.vocabulary_size)

    def text(self, documents: Sequence[Document], scoring: Scoring) -> TextWindows:
        """See :class:`harness.quality.family.Family`."""
        size = scoring.window(self._facts)
        if scoring.protocol == "lm-eval":
            return self._rolling(documents, size, scoring.detokenise)
        text = stream(self._tokenizer, documents)
        if scoring.protocol == "block":
            about = {"protocol": "block", "block_size": size, "joined_by": "nothing", "BOS": "none"}
            return TextWindows(block_windows(text, size), about)
        if scoring.protocol == "llama.cpp":
            bos = int(self._front[0]) if len(self._front) else None
            about = {"protocol": "llama.cpp", "window": size, "scored": "second half of each window"}
            about["BOS"] = "none" if bos is None else "at the start of each window"
            return TextWindows(half_windows(text, size, bos), about)
        stride = scoring.stride or size // 2
        if stride > size:
            raise HarnessError(f"stride {stride} is longer than the window of {size} tokens")
        about = {"protocol": "sliding", "window": size, "stride": stride, "joined_by": "nothing", "BOS": "none"}
        return TextWindows(sliding_windows(text, size, stride), about)

    def _rolling(self, documents: Sequence[Document], size: int, detokenise: bool) -> TextWindows:
        """Protocol ``lm-eval``: documents apart, divided by the bytes and words of the text before detokenising.

        Where the tokenizer adds a BOS by itself, lm-evaluation-harness 0.4 scores it as a token of the text, after the
        prefix; so does this protocol, and only this one.
        """
        windows: list[Window] = []
        sizes = {}
        front = self._front
        for index, document in enumerate(documents):
            text = detokenise_wikitext(document.text) if detokenise else document.text
            tokens = stream(self._tokenizer, [Document(document.name, text)], index)
            if len(tokens.ids):
                nowhere = np.zeros_like(front)
                tokens = joined(Stream(front, nowhere + index, nowhere, nowhere), tokens)
            windows += rolling_windows(tokens, size, self._first)
            sizes[index] = (len(document.text.encode("utf-8")), len(re.split(r"\s+", document.text)))
        about = {
            "protocol": "lm-eval",
            "window": size,
            "documents": "apart",
            "prefix": "none" if self._first is None else self._tokenizer.convert_ids_to_tokens(self._first),
            "BOS": "scored as a token of the text" if len(front) else "none",
            "text": "detokenised, divided by the original's bytes and words" if detokenise else "as it is",
        }
        return TextWindows(windows, about, sizes=sizes)

    def continuation(self, before: str, after: str, document: int, item: int) -> list[Window]:
        """See :class:`harness.quality.family.Family`."""
        parts = passage(self._tokenizer, before, after, "", document)
        context = np.concatenate([self._front, parts.left.ids])
        if not len(context):
            raise HarnessError(f"the tokenizer leaves no token of context before '{after.strip()}'")
        ids = np.concatenate([context, parts.middle.ids[:-1]])
        positions = np.arange(len(parts.middle.ids))
        return [parts.middle.window(ids, len(context) - 1 + positions, positions, item)]

    def word(self, left: str, word: str, right: str | None, document: int, item: int) -> list[Window] | None:
        """See :class:`harness.quality.family.Family`. The word's end is a prediction of its own, of any token that
        begins another word: else "the" would get the credit of "there" (Pimentel & Meister 2024, arXiv 2406.14561)."""
        if right is not None:
            return None
        (window,) = self.continuation(left, f" {word}", document, item)
        end = window.ends[-1:]
        last = Window(
            ids=np.concatenate([window.ids, window.targets[-1:]]),
            read=np.append(window.read, len(window.ids)),
            targets=np.append(window.targets, BOUNDARY),
            documents=np.append(window.documents, document),
            starts=np.append(window.starts, end),
            ends=np.append(window.ends, end),
            item=item,
        )
        return [last]

    def sentence(self, text: str, document: int, item: int) -> list[Window]:
        """See :class:`harness.quality.family.Family`: its log-likelihood."""
        tokens = stream(self._tokenizer, [Document("sentence", text)], document)
        if self._first is None:
            positions: Ints = np.arange(1, len(tokens.ids))
            return [tokens.window(tokens.ids[:-1], positions - 1, positions, item)]
        positions = np.arange(len(tokens.ids))
        ids = np.concatenate([[self._first], tokens.ids[:-1]])
        return [tokens.window(ids, positions, positions, item)]


def _begins_word(tokenizer: Any, size: int) -> Flags:
    """Which tokens [size] cannot continue a word of letters: they begin with a space, a mark or a digit, or, in a
    WordPiece vocabulary, without ``##``. Special tokens count as well."""
    known = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    names: list[str] = [name or "" for name in known]
    byte_level = any(name.startswith("Ġ") for name in names)
    wordpiece = any(name.startswith("##") for name in names)
    special = set(tokenizer.all_special_tokens)
    flags = np.zeros(size, dtype=np.bool_)
    for index, name in enumerate(names):
        if wordpiece:
            flags[index] = not name.startswith("##")
        elif name in special:
            flags[index] = True
        else:
            text = tokenizer.convert_tokens_to_string([name]) if byte_level else name.replace("▁", " ")
            part = text[:1] == _PART_OF_A_LETTER and not name.startswith(_PART_OF_A_MARK)
            flags[index] = not (part or text[:1].isalpha())
    return flags
