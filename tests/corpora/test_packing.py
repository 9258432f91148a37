from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2TokenizerFast

from harness.corpora.corpus import Document
from harness.corpora.packing import blocks, tokenize
from harness.training.tokenizers import train_tokenizer


@pytest.fixture(scope="module")
def byte_level() -> GPT2TokenizerFast:
    return train_tokenizer("gpt2", ["a road, a bridge and a café near the river"] * 20, 300)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_byte_lengths_of_byte_level_tokens_add_up_to_the_text(byte_level, texts):
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    found = tokenize(byte_level, documents)
    for index, text in enumerate(texts):
        assert found.byte_lengths[found.documents == index].sum() == len(text.encode("utf-8"))
    assert (found.byte_lengths >= 0).all()


def test_a_character_of_several_tokens_counts_once(byte_level):
    found = tokenize(byte_level, [Document("emoji", "🙂")])
    assert len(found.ids) == 4
    assert found.byte_lengths.sum() == 4


@pytest.mark.parametrize("architecture", ["bert", "t5"])
def test_bytes_between_words_belong_to_the_word_that_follows(architecture):
    tokenizer = train_tokenizer(architecture, ["one two three four"] * 50, 320)
    found = tokenize(tokenizer, [Document("words", "one two three")])
    assert found.byte_lengths.sum() == len("one two three")


def test_an_empty_document_has_no_tokens(byte_level):
    found = tokenize(byte_level, [Document("empty", ""), Document("full", "road")])
    assert set(found.documents) == {1}


@given(st.integers(0, 200), st.integers(1, 50))
def test_blocks_are_disjoint_and_drop_the_remainder(length, size):
    cut = blocks(np.arange(length), size)
    assert cut.shape == (length // size, size)
    assert (cut.ravel() == np.arange(length // size * size)).all()
