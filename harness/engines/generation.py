"""Greedy text from a session: a continuation, filled masks, or a decoded output."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.engines.base import Ids, Session
from harness.errors import HarnessError

PLACEHOLDER = "<mask>"
"""Stands for the mask of a masked model and for the sentinels of a seq2seq model."""


def generate(session: Session, tokenizer: Any, prompt: str, new_tokens: int) -> str:
    """The prompt with what the model makes of it.

    Causal: the prompt continued. Masked: every ``<mask>`` (or the tokenizer's own mask) filled with its likeliest
    token, all at once. Seq2seq: the output for the prompt as source, ``<mask>`` becoming ``<extra_id_0>`` and so on.
    Raises HarnessError for an empty prompt, one without a mask where one is needed, or one that is too long.
    """
    family = session.facts.family
    if family == "masked":
        return _fill_masks(session, tokenizer, prompt)
    source = _with_sentinels(prompt) if family == "seq2seq" else prompt
    ids = np.asarray(tokenizer(source, add_special_tokens=family == "seq2seq")["input_ids"], dtype=np.int64)
    if not len(ids):
        raise HarnessError("the prompt is empty")
    limit = session.facts.positions
    if limit is not None and len(ids) + new_tokens > limit:
        raise HarnessError(f"{len(ids)} prompt tokens and {new_tokens} new ones are more than {limit} positions")
    new = greedy(session, ids, new_tokens, tokenizer.eos_token_id)
    if family == "seq2seq":
        return str(tokenizer.decode(new, skip_special_tokens=False))
    return str(tokenizer.decode(np.concatenate([ids, new]), skip_special_tokens=True))


def greedy(session: Session, ids: Ids, new_tokens: int, end_id: int | None) -> Ids:
    """At most ``new_tokens`` greedy tokens after ``ids`` [length], up to and without ``end_id``."""
    token = int(session.prefill(ids, new_tokens).argmax())
    new: list[int] = []
    while token != end_id:
        new.append(token)
        if len(new) == new_tokens:
            break
        token = int(session.step(token).argmax())
    return np.asarray(new, dtype=np.int64)


def _fill_masks(session: Session, tokenizer: Any, prompt: str) -> str:
    if tokenizer.mask_token is None:
        raise HarnessError("the tokenizer has no mask token")
    text = prompt.replace(PLACEHOLDER, tokenizer.mask_token)
    ids = np.asarray(tokenizer(text)["input_ids"], dtype=np.int64)
    masks = np.flatnonzero(ids == tokenizer.mask_token_id)
    if not len(masks):
        raise HarnessError(f"a masked model fills masks: put {PLACEHOLDER} into the prompt")
    limit = session.facts.positions
    if limit is not None and len(ids) > limit:
        raise HarnessError(f"{len(ids)} tokens are more than the model's {limit} positions")
    filled = ids.copy()
    filled[masks] = np.concatenate(list(session.score(ids[np.newaxis], masks))).argmax(axis=-1)
    return str(tokenizer.decode(filled, skip_special_tokens=True))


def _with_sentinels(prompt: str) -> str:
    parts = prompt.split(PLACEHOLDER)
    return parts[0] + "".join(f"<extra_id_{index}>{part}" for index, part in enumerate(parts[1:]))
