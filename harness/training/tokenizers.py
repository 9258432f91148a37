"""Tokenizers of the published kinds, trained on a corpus: byte-level BPE, WordPiece and Unigram."""

from __future__ import annotations

import json
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from harness.candidates.spec import Architecture

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"
SENTINELS = 100
ALPHABET = 1000
"""Letters that a WordPiece vocabulary holds at most, as its trainer has it."""


def train_tokenizer(architecture: Architecture, texts: Iterable[str], entries: int) -> PreTrainedTokenizerFast:
    """The tokenizer that the architecture was published with, trained on ``texts`` to ``entries`` entries."""
    build = {"gpt2": _byte_level_bpe, "bert": _word_piece, "distilbert": _word_piece, "t5": _unigram}
    return build[architecture](texts, entries)


def _byte_level_bpe(texts: Iterable[str], entries: int) -> PreTrainedTokenizerFast:
    from transformers import GPT2TokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=entries, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return GPT2TokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, unk_token=END_OF_TEXT
    )


def _word_piece(texts: Iterable[str], entries: int) -> PreTrainedTokenizerFast:
    from transformers import BertTokenizerFast

    special, texts = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], list(texts)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    letters, continuing = _letters(tokenizer, texts)
    trainer = trainers.WordPieceTrainer(
        vocab_size=entries,
        special_tokens=[*special, *continuing],
        initial_alphabet=letters,
        limit_alphabet=len(letters),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    trained = Tokenizer(models.WordPiece(tokenizer.get_vocab(), unk_token="[UNK]"))
    trained.normalizer, trained.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    trained.add_special_tokens(special)
    trained.decoder = decoders.WordPiece()
    trained.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, trained.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return BertTokenizerFast(tokenizer_object=trained, do_lower_case=False)


def _letters(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The letters of the words of a text, the most frequent of them, and ``##x`` for those that stand within a word.

    The trainer numbers ``##x`` in the order in which it meets them, which changes from run to run, and decides ties of
    pairs by number: letters that are given to it beforehand have the same numbers in every run.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    known = sorted(set(counts) - set(string.whitespace), key=lambda letter: (-counts[letter], letter))[:ALPHABET]
    words = {word for text in texts for word in tokenizer.normalizer.normalize_str(text).split()}
    parts = [part for word in words for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(word)]
    within = {letter for part in parts for letter in part[1:]}
    return sorted(known), sorted(f"##{letter}" for letter in within.intersection(known))


def _unigram(texts: Iterable[str], entries: int) -> PreTrainedTokenizerFast:
    from transformers import T5TokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=entries - SENTINELS, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.model = models.Unigram(_in_one_order(json.loads(tokenizer.to_str())["model"]["vocab"], special), unk_id=2)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    return T5TokenizerFast(tokenizer_object=tokenizer, extra_ids=SENTINELS)


def _in_one_order(pieces: list[tuple[str, float]], special: list[str]) -> list[tuple[str, float]]:
    """Trained pieces, likeliest first, in an order and with scores that are the same in every run.

    The trainer sums in an order that changes from run to run, so scores differ in their last digits. Letters that it
    would have left out get scores below all others, in steps of 1e-4 and in any order: here in that of the letters.
    """
    scored = [(piece, round(score, 9)) for piece, score in pieces[len(special) :]]
    lowest = min((score for piece, score in scored if len(piece) > 1), default=0.0)
    scores = sorted((score for piece, score in scored if score < lowest), reverse=True)
    letters = sorted(piece for piece, score in scored if score < lowest)
    likely = sorted((each for each in scored if each[1] >= lowest), key=lambda each: (-each[1], each[0]))
    return [*((piece, 0.0) for piece in special), *likely, *zip(letters, scores, strict=True)]
