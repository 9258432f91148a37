"""Masked and sequence-to-sequence models against direct computations on the same model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.corpora.corpus import Corpus
from harness.corpora.corruption import IGNORED, mask_tokens
from harness.errors import HarnessError
from harness.quality.family import Scoring
from harness.quality.likelihood import unigram
from harness.quality.masked import Masked
from harness.quality.measures import family_of, measure_text
from harness.quality.seq2seq import Seq2Seq
from harness.quality.windows import score_windows

SCORING = Scoring(block_size=32)
SENTENCE = "The neighbourhood bridge near the café repaired."


@torch.inference_mode()
def _masked_nll(model, ids: list[int], position: int, target: int) -> float:
    logits = model(torch.tensor([ids])).logits[0, position].double()
    return float(torch.logsumexp(logits, -1) - logits[target])


@torch.inference_mode()
def _decoder_nll(model, source: list[int], decoder: list[int], targets: list[int]) -> float:
    logits = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([decoder])).logits[0].double()
    losses = torch.logsumexp(logits, -1) - logits[torch.arange(len(decoder)), torch.tensor(targets)]
    return float(losses[1:].sum())


def test_masked_perplexity_is_the_loss_of_the_model_on_the_same_masks(loaded, corpus: Corpus):
    masked = loaded("masked")
    tokenizer, documents = masked.tokenizer, corpus.splits["test"]
    ids = np.concatenate([tokenizer(doc.text, add_special_tokens=False)["input_ids"] for doc in documents])
    rng = np.random.default_rng(SCORING.mask_seed)
    total, count = 0.0, 0
    for block in ids[: len(ids) // 30 * 30].reshape(-1, 30):
        hidden = mask_tokens(block, rng, 0.15, tokenizer.mask_token_id, len(tokenizer))
        inputs = torch.tensor([[tokenizer.cls_token_id, *hidden.ids, tokenizer.sep_token_id]])
        labels = torch.tensor([[IGNORED, *hidden.labels, IGNORED]])
        number = int((labels != IGNORED).sum())
        with torch.inference_mode():
            total += masked.model(inputs, labels=labels).loss.item() * number
        count += number
    scored = score_windows(masked.session, masked.family.text(documents, SCORING).windows)
    assert len(scored.targets) == count
    assert scored.nll.mean() == pytest.approx(total / count, rel=1e-5)


def test_pll_by_token_is_one_mask_at_a_time(loaded):
    masked = loaded("masked")
    tokenizer = masked.tokenizer
    ids = tokenizer(SENTENCE)["input_ids"]
    expected = []
    for position in range(1, len(ids) - 1):
        hidden = [*ids[:position], tokenizer.mask_token_id, *ids[position + 1 :]]
        expected.append(_masked_nll(masked.model, hidden, position, ids[position]))
    assert isinstance(masked.family, Masked)
    scored = score_windows(masked.session, masked.family.sentence_by_token(SENTENCE, 0, 0))
    assert scored.nll == pytest.approx(expected, abs=1e-4)


def test_pll_within_words_masks_the_rest_of_the_word_too(loaded):
    masked = loaded("masked")
    tokenizer = masked.tokenizer
    encoded = tokenizer(SENTENCE)
    ids, words = encoded["input_ids"], encoded.word_ids()
    assert max(words.count(word) for word in set(words) - {None}) > 1
    expected = []
    for position in range(1, len(ids) - 1):
        rest = [p for p in range(position, len(ids)) if words[p] == words[position]]
        hidden = [tokenizer.mask_token_id if p in rest else token for p, token in enumerate(ids)]
        expected.append(_masked_nll(masked.model, hidden, position, ids[position]))
    scored = score_windows(masked.session, masked.family.sentence(SENTENCE, 0, 0))
    assert scored.nll == pytest.approx(expected, abs=1e-4)
    assert scored.byte_lengths.sum() == len(SENTENCE.encode("utf-8"))


def test_pll_of_a_sentence_is_one_batched_pass(loaded, monkeypatch: pytest.MonkeyPatch):
    masked = loaded("masked")
    shapes = []
    score = masked.session.score

    def counted(ids, *rest):
        shapes.append(ids.shape)
        return score(ids, *rest)

    monkeypatch.setattr(masked.session, "score", counted)
    words = "the road to the town and the bridge near the market of the people " * 9
    tokens = masked.tokenizer(words, add_special_tokens=False)["input_ids"]
    text = masked.tokenizer.decode(tokens[:90])
    count = len(masked.tokenizer(text, add_special_tokens=False)["input_ids"])
    score_windows(masked.session, masked.family.sentence_by_token(text, 0, 0))
    assert shapes == [(count, count + 2)]
    assert count >= 80


def test_a_masked_continuation_is_revealed_from_left_to_right(loaded):
    masked = loaded("masked")
    tokenizer = masked.tokenizer
    before, after = "The people of the town", " want peace and a good road"
    start = tokenizer(before, add_special_tokens=False)["input_ids"]
    rest = tokenizer(after, add_special_tokens=False)["input_ids"]
    expected = []
    for shown in range(len(rest)):
        body = [*start, *rest[:shown], *[tokenizer.mask_token_id] * (len(rest) - shown)]
        framed = [tokenizer.cls_token_id, *body, tokenizer.sep_token_id]
        expected.append(_masked_nll(masked.model, framed, 1 + len(start) + shown, rest[shown]))
    scored = score_windows(masked.session, masked.family.continuation(before, after, 0, 0))
    assert scored.nll == pytest.approx(expected, abs=1e-4)
    assert scored.byte_lengths.sum() == len(after)


def test_a_masked_word_sees_its_right_side_only_when_it_is_given(loaded):
    masked = loaded("masked")
    one, both = (masked.family.word("The people of the", "repaired", right, 0, 0) for right in (None, " want a road."))
    assert len(one) == len(both) > 1
    assert len(both[0].ids) > len(one[0].ids)
    assert [list(window.targets) for window in one] == [list(window.targets) for window in both]


def test_infilling_scores_the_word_and_its_closing_sentinel(loaded):
    seq2seq = loaded("seq2seq")
    tokenizer = seq2seq.tokenizer
    first, second = tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])
    left, word, right = "The people of the", " town", " want peace."
    parts = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in (left, word, right)]
    source = [*parts[0], first, *parts[2], tokenizer.eos_token_id]
    decoder = [tokenizer.pad_token_id, first, *parts[1]]
    expected = _decoder_nll(seq2seq.model, source, decoder, [first, *parts[1], second])
    scored = score_windows(seq2seq.session, seq2seq.family.word(left, "town", right, 0, 0))
    assert scored.nll.sum() == pytest.approx(expected, abs=1e-4)
    assert list(scored.targets) == [*parts[1], second]
    assert scored.byte_lengths.sum() == len(word)


def test_a_seq2seq_continuation_has_no_closing_sentinel(loaded):
    seq2seq = loaded("seq2seq")
    (window,) = seq2seq.family.continuation("The people of the", " town want peace", 0, 0)
    expected = seq2seq.tokenizer(" town want peace", add_special_tokens=False)["input_ids"]
    assert list(window.targets) == expected


def test_a_seq2seq_sentence_is_infilled_word_by_word(loaded):
    seq2seq = loaded("seq2seq")
    windows = seq2seq.family.sentence("The people want peace.", 3, 5)
    words = set(seq2seq.tokenizer("The people want peace.", add_special_tokens=False).word_ids())
    assert len(windows) == len(words)
    assert {window.item for window in windows} == {5}
    assert all((window.documents == 3).all() for window in windows)


def test_span_loss_scores_content_and_not_sentinels(loaded, corpus: Corpus):
    seq2seq = loaded("seq2seq")
    text = seq2seq.family.text(corpus.splits["test"], SCORING)
    names = seq2seq.tokenizer.convert_ids_to_tokens([int(i) for w in text.windows for i in w.targets])
    assert names
    assert not [name for name in names if name.startswith("<extra_id_") or name == "</s>"]


@pytest.mark.parametrize("family", ["masked", "seq2seq"])
def test_masks_are_frozen_by_the_seed(loaded, corpus: Corpus, family: str):
    asked = loaded(family).family
    documents = corpus.splits["test"]

    def scored(seed: int) -> list[list[int]]:
        windows = asked.text(documents, Scoring(block_size=32, mask_seed=seed)).windows
        return [list(window.starts) for window in windows]

    assert scored(0) == scored(0)
    assert scored(0) != scored(1)


@pytest.mark.parametrize("family", ["masked", "seq2seq"])
def test_scoring_in_batches_changes_nothing(loaded, corpus: Corpus, family: str):
    asked = loaded(family)
    text = asked.family.text(corpus.splits["test"], SCORING)
    single, batched = (score_windows(asked.session, text.windows, size) for size in (1, 5))
    assert batched.nll == pytest.approx(single.nll, abs=1e-4)


def test_the_seq2seq_baseline_pays_for_telling_content_from_sentinels(loaded, corpus: Corpus):
    seq2seq = loaded("seq2seq")
    documents = corpus.splits["test"]
    counts = np.arange(1, len(seq2seq.tokenizer) + 1)
    text = seq2seq.family.text(documents, SCORING)
    facts = {f.metric: f for f in measure_text(seq2seq.session, seq2seq.family, documents, counts, SCORING)}
    # a block of 32: 5 content tokens in 2 spans, so 2 sentinels and the end
    assert text.content_share == pytest.approx(5 / 8)
    scored = unigram(score_windows(seq2seq.session, text.windows), counts)
    assert facts["unigram_perplexity"].value == pytest.approx(np.exp(scored.nll.mean()) * 8 / 5, rel=1e-9)


def test_a_tokenizer_without_the_special_tokens_is_refused_by_name(loaded):
    causal = loaded("causal")
    with pytest.raises(HarnessError, match="no cls_token, which a masked model needs"):
        Masked(causal.tokenizer, causal.session.facts)
    with pytest.raises(HarnessError, match="no <extra_id_0> and <extra_id_1>"):
        Seq2Seq(causal.tokenizer, causal.session.facts)


def test_a_sentence_longer_than_the_model_is_refused(loaded):
    masked = loaded("masked")
    with pytest.raises(HarnessError, match="is longer than the model's 96 positions"):
        score_windows(masked.session, masked.family.sentence("The road to the town. " * 30, 0, 0))


def test_each_family_is_asked_in_its_own_way(loaded):
    for family in ("causal", "masked", "seq2seq"):
        one = loaded(family)
        assert type(family_of(one.session, one.tokenizer)).__name__.lower() == family
