"""The protocols against straightforward reference code on the same model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from harness.candidates.checkpoint import Checkpoint, load_model, load_tokenizer
from harness.corpora.corpus import Corpus, Document
from harness.corpora.corruption import IGNORED, mask_tokens
from harness.engines.torch_engine import TorchEngine
from harness.errors import HarnessError
from harness.quality.likelihood import ScoredTokens, joined, token_nll, unigram_nll
from harness.quality.measures import measure_quality
from harness.quality.protocols import PROTOCOLS, Scoring

SCORING = Scoring(block_size=32)


@pytest.fixture(scope="module")
def loaded(tiny_checkpoints: dict[str, Checkpoint]):
    def load(family: str):
        checkpoint = tiny_checkpoints[family]
        session = TorchEngine().open(checkpoint.path, family, "fp32", 1)
        return session, load_tokenizer(checkpoint.path), load_model(checkpoint.path, checkpoint.family)

    return load


def test_block_perplexity_is_exp_of_the_mean_loss_over_blocks(loaded, corpus: Corpus):
    session, tokenizer, model = loaded("causal")
    documents = corpus.splits["test"]
    ids = torch.cat([torch.tensor(tokenizer(doc.text)["input_ids"]) for doc in documents])
    blocks = ids[: len(ids) // 32 * 32].reshape(-1, 32)
    with torch.inference_mode():
        losses = [model(block[None], labels=block[None]).loss.item() for block in blocks]
    counts = np.ones(len(tokenizer), dtype=np.int64)
    facts = {fact.metric: fact for fact in measure_quality(session, tokenizer, documents, counts, SCORING)}
    assert facts["perplexity"].value == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)


def test_masked_perplexity_is_the_loss_of_the_model_on_the_same_masks(loaded, corpus: Corpus):
    session, tokenizer, model = loaded("masked")
    documents = corpus.splits["test"]
    ids = np.concatenate([tokenizer(doc.text, add_special_tokens=False)["input_ids"] for doc in documents])
    rng = np.random.default_rng(SCORING.mask_seed)
    total, count = 0.0, 0
    for block in ids[: len(ids) // 30 * 30].reshape(-1, 30):
        masked = mask_tokens(block, rng, 0.15, tokenizer.mask_token_id, len(tokenizer))
        inputs = torch.tensor([[tokenizer.cls_token_id, *masked.ids, tokenizer.sep_token_id]])
        labels = torch.tensor([[IGNORED, *masked.labels, IGNORED]])
        hidden = int((labels != IGNORED).sum())
        with torch.inference_mode():
            total += model(inputs, labels=labels).loss.item() * hidden
        count += hidden
    scored = PROTOCOLS["masked"](session, tokenizer, documents, SCORING)
    assert len(scored.targets) == count
    assert scored.tokens.nll.mean() == pytest.approx(total / count, rel=1e-5)


def test_span_loss_scores_content_and_not_sentinels(loaded, corpus: Corpus):
    session, tokenizer, _ = loaded("seq2seq")
    scored = PROTOCOLS["seq2seq"](session, tokenizer, corpus.splits["test"], SCORING)
    names = tokenizer.convert_ids_to_tokens([int(i) for i in scored.targets])
    assert names
    assert not [name for name in names if name.startswith("<extra_id_") or name == "</s>"]


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_scoring_in_batches_changes_nothing(loaded, corpus: Corpus, family: str):
    session, tokenizer, _ = loaded(family)
    single = PROTOCOLS[family](session, tokenizer, corpus.splits["test"], SCORING)
    batched = PROTOCOLS[family](session, tokenizer, corpus.splits["test"], Scoring(block_size=32, batch_size=5))
    assert batched.tokens.nll == pytest.approx(single.tokens.nll, abs=1e-4)


@pytest.mark.parametrize("family", ["masked", "seq2seq"])
def test_masks_are_frozen_by_the_seed(loaded, corpus: Corpus, family: str):
    session, tokenizer, _ = loaded(family)
    first, again = (PROTOCOLS[family](session, tokenizer, corpus.splits["test"], SCORING) for _ in range(2))
    other = PROTOCOLS[family](session, tokenizer, corpus.splits["test"], Scoring(block_size=32, mask_seed=1))
    assert (first.targets == again.targets).all()
    assert len(first.targets) != len(other.targets) or (first.targets != other.targets).any()


def test_bits_per_byte_divides_by_the_bytes_of_scored_text(loaded):
    session, tokenizer, _ = loaded("causal")
    documents = [Document("one", "The café by the river costs 5 €. " * 10), Document("two", "A road. " * 20)]
    scored = PROTOCOLS["causal"](session, tokenizer, documents, SCORING)
    counts = np.ones(len(tokenizer), dtype=np.int64)
    facts = {fact.metric: fact for fact in measure_quality(session, tokenizer, documents, counts, SCORING)}
    covered = tokenizer.decode(scored.targets).encode("utf-8")
    expected = scored.tokens.nll.sum() / math.log(2) / len(covered)
    assert scored.tokens.byte_lengths.sum() == len(covered)
    assert facts["bits_per_byte"].value == pytest.approx(expected, rel=1e-9)


def test_the_unigram_baseline_is_taken_on_the_same_tokens(loaded, corpus: Corpus):
    session, tokenizer, _ = loaded("causal")
    documents = corpus.splits["test"]
    counts = np.arange(1, len(tokenizer) + 1)
    scored = PROTOCOLS["causal"](session, tokenizer, documents, SCORING)
    facts = {fact.metric: fact for fact in measure_quality(session, tokenizer, documents, counts, SCORING)}
    expected = math.exp(unigram_nll(counts, scored.targets).mean())
    assert facts["unigram_perplexity"].value == pytest.approx(expected, rel=1e-9)
    assert facts["unigram_perplexity"].protocol == facts["perplexity"].protocol


def test_an_infinite_likelihood_names_its_document():
    scored = ScoredTokens(np.array([0, 1]), np.array([1, 1]), np.array([1.0, np.inf]))
    with pytest.raises(HarnessError, match="document 'second'"):
        joined([scored], [Document("first", "a"), Document("second", "b")])


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, 0.0, -1e4]], dtype=np.float32)
    assert token_nll(logits, np.array([0]))[0] == 0
    assert token_nll(logits, np.array([2]))[0] == pytest.approx(2e4)


def test_text_shorter_than_a_block_is_refused(loaded):
    session, tokenizer, _ = loaded("causal")
    with pytest.raises(HarnessError, match="shorter than one block"):
        PROTOCOLS["causal"](session, tokenizer, [Document("short", "a road")], SCORING)


def test_blocks_longer_than_the_model_are_refused(loaded, corpus: Corpus):
    session, tokenizer, _ = loaded("causal")
    with pytest.raises(HarnessError, match="longer than the model's 96 positions"):
        PROTOCOLS["causal"](session, tokenizer, corpus.splits["test"], Scoring(block_size=128))


def test_a_tokenizer_without_a_mask_is_refused(loaded, tiny_checkpoints, corpus: Corpus):
    session, _, _ = loaded("masked")
    other = load_tokenizer(tiny_checkpoints["causal"].path)
    with pytest.raises(HarnessError, match="no cls_token"):
        PROTOCOLS["masked"](session, other, corpus.splits["test"], SCORING)


def test_the_seq2seq_baseline_pays_for_telling_content_from_sentinels(loaded, corpus: Corpus):
    session, tokenizer, _ = loaded("seq2seq")
    documents = corpus.splits["test"]
    counts = np.arange(1, len(tokenizer) + 1)
    scored = PROTOCOLS["seq2seq"](session, tokenizer, documents, SCORING)
    facts = {fact.metric: fact for fact in measure_quality(session, tokenizer, documents, counts, SCORING)}
    # a block of 32: 5 content tokens in 2 spans, so 2 sentinels and the end
    assert scored.content_share == pytest.approx(5 / 8)
    expected = math.exp(unigram_nll(counts, scored.targets).mean()) * 8 / 5
    assert facts["unigram_perplexity"].value == pytest.approx(expected, rel=1e-9)
