"""Perplexity protocols of causal models: how a text is cut into windows. Pure: streams in, windows out.

A perplexity means nothing without its protocol; docs/quality.md says which tool uses which.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.quality.text import Stream
from harness.quality.windows import Window

PROTOCOLS = ("block", "sliding", "lm-eval", "llama.cpp")


def block_windows(text: Stream, size: int) -> list[Window]:
    """Disjoint blocks of ``size`` tokens, the remainder dropped; the first token of a block is context only
    (transformers' ``run_clm`` example)."""
    starts = range(0, len(text.ids) - size + 1, size)
    return [_predict(text, start, start + 1, start + size, item) for item, start in enumerate(starts)]


def sliding_windows(text: Stream, size: int, stride: int) -> list[Window]:
    """Windows of ``size`` tokens moved by ``stride``: each token is scored once, with the longest context that a window
    gives it (the Hub's guide to perplexity of fixed-length models). A token that begins a window and was not seen
    before, as the very first one, is context only."""
    windows: list[Window] = []
    scored = 1
    for start in range(0, len(text.ids), stride):
        stop = min(start + size, len(text.ids))
        first = max(scored, start + 1)
        if first < stop:
            windows.append(_predict(text, start, first, stop, len(windows)))
        scored = stop
        if stop == len(text.ids):
            break
    return windows


def rolling_windows(text: Stream, size: int, prefix: int | None) -> Iterator[Window]:
    """The windows of one document as lm-evaluation-harness rolls them: the first is predicted from ``prefix``, the next
    ones from the token before them, and the last, shorter one sees as much context as fits.

    Without a prefix (a tokenizer with neither BOS nor EOS) the document's first token is context only.
    """
    length = len(text.ids)
    first = min(size, length)
    if prefix is None:
        if first > 1:
            yield _predict(text, 0, 1, first, 0)
    elif first:
        ids = np.concatenate([[prefix], text.ids[: first - 1]])
        yield text.window(ids, np.arange(first), np.arange(first), 0)
    for item, start in enumerate(range(size, length, size), 1):
        stop = min(start + size, length)
        yield _predict(text, stop - size - 1, start, stop, item)


def half_windows(text: Stream, size: int, bos: int | None) -> list[Window]:
    """Disjoint windows of ``size`` tokens of which only the second half is scored, as llama.cpp's ``perplexity`` does.

    ``bos`` is put before the whole text and in place of each window's first token, where the tokenizer adds one.
    """
    shift = 0 if bos is None else 1
    windows = []
    half = size // 2
    for item, start in enumerate(range(0, len(text.ids) + shift - size + 1, size)):
        ids = text.ids[max(start - shift, 0) : start - shift + size - 1]
        if bos is not None:
            ids = np.concatenate([[bos], ids[1:] if start else ids])
        positions = np.arange(start - shift + half + 1, start - shift + size)
        windows.append(text.window(ids, np.arange(half, size - 1), positions, item))
    return windows


def _predict(text: Stream, start: int, first: int, stop: int, item: int) -> Window:
    """Tokens ``first`` to ``stop`` predicted with context from ``start`` on; the last one never needs to go in."""
    positions = np.arange(first, stop)
    return text.window(text.ids[start : stop - 1], positions - 1 - start, positions, item)
