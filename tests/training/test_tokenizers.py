"""Tokenizers are the same in every run: the trainers of WordPiece and Unigram are not, left to themselves."""

from __future__ import annotations

import json

import pytest

from harness.training.tokenizers import train_tokenizer


@pytest.mark.parametrize("architecture", ["gpt2", "bert", "t5"])
@pytest.mark.parametrize("entries", [300, 500])
def test_the_same_text_gives_the_same_tokenizer(corpus, architecture, entries):
    texts = [document.text for document in corpus.splits["train"]]
    found = {train_tokenizer(architecture, texts, entries).backend_tokenizer.to_str() for _ in range(4)}
    assert len(found) == 1


def test_word_pieces_put_every_word_of_the_text_together_again(corpus):
    texts = [document.text for document in corpus.splits["train"]]
    tokenizer = train_tokenizer("bert", texts, 400)
    for text in texts:
        pieces = tokenizer.tokenize(text)
        assert "[UNK]" not in pieces
        joined = "".join(piece.removeprefix("##") for piece in pieces)
        assert joined == "".join(text.split())


def test_the_special_tokens_of_word_pieces_come_first_and_letters_are_none(corpus):
    tokenizer = train_tokenizer("bert", [document.text for document in corpus.splits["train"]], 400)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.convert_ids_to_tokens(range(5)) == names
    assert set(tokenizer.all_special_tokens) == set(names)
    assert tokenizer.tokenize("a ##b") == ["a", "[UNK]", "[UNK]", "b"]


def test_unigram_pieces_are_in_the_order_of_their_scores(corpus):
    tokenizer = train_tokenizer("t5", [document.text for document in corpus.splits["train"]], 400)
    scores = [score for _, score in json.loads(tokenizer.backend_tokenizer.to_str())["model"]["vocab"][3:]]
    assert scores == sorted(scores, reverse=True)
    assert tokenizer.decode(tokenizer("The river rises.")["input_ids"], skip_special_tokens=True) == "The river rises."
