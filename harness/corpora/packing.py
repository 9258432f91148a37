"""From documents to tokens and blocks, keeping for every token its document and its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.corpora.corpus import Document


@dataclass(frozen=True)
class TokenizedText:
    """Documents as one stream of tokens: three arrays of equal length.

    ``ids`` are token ids, ``documents`` the index of each token's document, ``byte_lengths`` the UTF-8 bytes of text
    that each token adds to what stands before it; over a document they add up to the bytes that it covers.
    """

    ids: NDArray[np.int64]
    documents: NDArray[np.int64]
    byte_lengths: NDArray[np.int64]


def tokenize(tokenizer: Any, documents: Sequence[Document]) -> TokenizedText:
    """Tokenise documents one after another, without special tokens and with nothing between them.

    ``tokenizer`` is a fast transformers tokenizer. A token's bytes run from the end of the token before it to its
    own end, so that white space which a tokenizer drops, and characters that take several tokens, count once.
    """
    ids, owners, lengths = [], [], []
    for index, document in enumerate(documents):
        encoded = tokenizer(document.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        ids.append(np.asarray(encoded["input_ids"], dtype=np.int64))
        owners.append(np.full(len(encoded["input_ids"]), index, dtype=np.int64))
        lengths.append(_byte_lengths(document.text, encoded["offset_mapping"]))
    return TokenizedText(_joined(ids), _joined(owners), _joined(lengths))


def blocks(ids: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Disjoint blocks, [count, size]; the remainder is dropped."""
    count = len(ids) // size
    return ids[: count * size].reshape(count, size)


def _byte_lengths(text: str, offsets: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    if not offsets:
        return np.zeros(0, dtype=np.int64)
    character_bytes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    widths = 1 + (character_bytes > 0x7F).astype(np.int64) + (character_bytes > 0x7FF) + (character_bytes > 0xFFFF)
    byte_position = np.concatenate([[0], np.cumsum(widths)])
    ends = np.maximum.accumulate(np.asarray([end for _, end in offsets], dtype=np.int64))
    end_bytes = byte_position[ends]
    lengths: NDArray[np.int64] = np.diff(end_bytes, prepend=0)
    return lengths


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
