"""Passages: a text with one part singled out, whatever the tokenizer makes of its borders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.quality.family import passage
from harness.quality.windows import score_windows

PARTS = st.text(alphabet="ab cé€”😀日.", min_size=1, max_size=8)


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
@given(before=PARTS, content=PARTS, after=PARTS)
def test_a_passage_keeps_every_token_in_its_order(loaded, family: str, before: str, content: str, after: str):
    tokenizer = loaded(family).tokenizer
    content = f" x{content}"
    parts = passage(tokenizer, before, content, after, 3)
    whole = tokenizer(before + content + after, add_special_tokens=False)["input_ids"]
    assert [*parts.left.ids, *parts.middle.ids, *parts.right.ids] == whole
    stop = len((before + content).encode("utf-8"))
    assert (parts.left.ends <= len(before.encode("utf-8"))).all()
    assert (parts.right.starts >= stop).all()
    assert (parts.middle.documents == 3).all()


@pytest.mark.parametrize("content", [" café", " said peace.”", " 日", " 😀"])
def test_all_pieces_of_the_last_character_belong_to_the_content(loaded, content: str):
    tokenizer = loaded("causal").tokenizer
    parts = passage(tokenizer, "the road", content, ", and", 0)
    assert tokenizer.decode(parts.middle.ids) == content
    assert tokenizer.decode(parts.right.ids) == ", and"
    assert parts.middle.ends[-1] - parts.middle.starts[0] == len(content.encode("utf-8"))


def test_decoders_of_different_lengths_go_together_with_the_same_result(loaded):
    seq2seq = loaded("seq2seq")
    windows = seq2seq.family.sentence("The neighbourhood bridge near the café is repaired.", 0, 0)
    lengths = {len(window.ids): set() for window in windows}
    for window in windows:
        lengths[len(window.ids)].add(window.shape[1])
    single, batched = (score_windows(seq2seq.session, windows, size).nll for size in (1, 128))
    assert batched == pytest.approx(single, abs=1e-4)
    shapes = [window.shape for window in windows]
    assert len(set(shapes)) > 1
    doubled = score_windows(seq2seq.session, [*windows, *windows[::-1]], 128).nll
    assert doubled[: len(single)] == pytest.approx(single, abs=1e-4)


def test_causal_rows_of_different_lengths_go_together_with_the_same_result(loaded):
    causal = loaded("causal")
    text = "The people of the town want peace and a good road to the market."
    windows = [causal.family.sentence(text[:end], 0, end)[0] for end in range(40, len(text))]
    assert len({window.shape for window in windows}) > 3
    single, batched = (score_windows(causal.session, windows, size).nll for size in (1, 128))
    assert batched == pytest.approx(single, abs=1e-4)
    assert np.isfinite(single).all()
