"""Perplexity protocols of causal models against straightforward reference code on the same model."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.corpora.corpus import Corpus, Document
from harness.errors import HarnessError
from harness.quality.family import Scoring
from harness.quality.measures import measure_text
from harness.quality.protocols import block_windows, half_windows, rolling_windows, sliding_windows
from harness.quality.text import Stream, stream
from harness.quality.windows import score_windows

REL = 1e-5


def _facts(loaded, documents, scoring: Scoring):
    counts = np.ones(len(loaded.tokenizer), dtype=np.int64)
    facts = measure_text(loaded.session, loaded.family, documents, counts, scoring)
    return {fact.metric: fact for fact in facts}


def _ids(tokenizer, documents) -> torch.Tensor:
    return torch.cat([torch.tensor(tokenizer(doc.text)["input_ids"]) for doc in documents])


@torch.inference_mode()
def _nll(model, ids: torch.Tensor, scored: int) -> float:
    """Sum of the loss on the last ``scored`` tokens of ids, by transformers itself."""
    labels = ids.clone()
    labels[: len(ids) - scored] = -100
    return float(model(ids[None], labels=labels[None]).loss) * scored


def test_block_is_exp_of_the_mean_loss_over_blocks(loaded, corpus: Corpus):
    causal = loaded("causal")
    documents = corpus.splits["test"]
    ids = _ids(causal.tokenizer, documents)
    blocks = ids[: len(ids) // 32 * 32].reshape(-1, 32)
    with torch.inference_mode():
        losses = [causal.model(block[None], labels=block[None]).loss.item() for block in blocks]
    fact = _facts(causal, documents, Scoring(block_size=32))["perplexity"]
    assert fact.value == pytest.approx(math.exp(np.mean(losses)), rel=REL)
    assert fact.protocol["protocol"] == "block"
    assert fact.protocol["tokens_scored"] == 31 * len(blocks)


@pytest.mark.parametrize(("size", "stride"), [(48, 16), (48, 48), (48, 1), (17, 5)])
def test_sliding_is_the_loop_of_the_hubs_guide_with_sums_kept(loaded, corpus: Corpus, size: int, stride: int):
    causal = loaded("causal")
    documents = corpus.splits["test"][:2]
    ids = _ids(causal.tokenizer, documents)
    total, count, before = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + size, len(ids))
        scored = end - before - (1 if before == begin else 0)
        if scored:
            total, count = total + _nll(causal.model, ids[begin:end], scored), count + scored
        before = end
        if end == len(ids):
            break
    scoring = Scoring(protocol="sliding", block_size=size, stride=stride)
    fact = _facts(causal, documents, scoring)["perplexity"]
    assert fact.protocol["tokens_scored"] == count
    assert fact.value == pytest.approx(math.exp(total / count), rel=REL)


def test_llama_cpp_scores_the_second_half_of_each_window(loaded, corpus: Corpus):
    causal = loaded("causal")
    documents = corpus.splits["test"]
    ids = _ids(causal.tokenizer, documents)
    windows = ids[: len(ids) // 40 * 40].reshape(-1, 40)
    total = sum(_nll(causal.model, window, 19) for window in windows)
    fact = _facts(causal, documents, Scoring(protocol="llama.cpp", block_size=40))["perplexity"]
    assert fact.protocol["tokens_scored"] == 19 * len(windows)
    assert fact.value == pytest.approx(math.exp(total / (19 * len(windows))), rel=REL)


def test_lm_eval_divides_by_words_and_bytes_of_the_original_text(loaded):
    causal = loaded("causal")
    documents = [
        Document("one", " = Roads = \n \n The road @-@ builder 's town , it is said , had 1 @,@ 200 roads . \n")
    ]
    text = "= Roads =\n\nThe road-builder's town, it is said, had 1,200 roads.\n"
    facts = _facts(causal, documents, Scoring(protocol="lm-eval", block_size=32, detokenise=True))
    ids = causal.tokenizer(f" {text}")["input_ids"]
    assert facts["perplexity"].protocol["tokens_scored"] == len(ids)
    nll = math.log(facts["perplexity"].value) * len(ids)
    words = len(re.split(r"\s+", documents[0].text))
    assert facts["word_perplexity"].value == pytest.approx(math.exp(nll / words), rel=1e-9)
    size = len(documents[0].text.encode("utf-8"))
    assert facts["bits_per_byte"].value == pytest.approx(nll / math.log(2) / size, rel=1e-9)
    assert facts["byte_perplexity"].value == pytest.approx(math.exp(nll / size), rel=1e-9)


def _stream(length: int) -> Stream:
    places = np.arange(length)
    return Stream(places + 100, np.zeros(length, dtype=np.int64), places, places + 1)


@given(length=st.integers(0, 90), size=st.integers(2, 30), stride=st.integers(1, 30))
def test_sliding_scores_every_token_once_after_its_own_context(length: int, size: int, stride: int):
    text = _stream(length)
    windows = sliding_windows(text, size, min(stride, size))
    targets = np.concatenate([np.zeros(0, dtype=np.int64), *(window.targets for window in windows)])
    lost = {100 + start for start in range(0, length, size)} if stride >= size else {100}
    assert sorted(set(range(100, 100 + length)) - lost) == sorted(targets)
    for window in windows:
        assert len(window.ids) < size
        assert (window.ids[window.read] + 1 == window.targets).all()


@given(length=st.integers(0, 90), size=st.integers(2, 30), prefix=st.sampled_from([None, 7]))
def test_rolling_windows_score_every_token_of_a_document_once(length: int, size: int, prefix: int | None):
    windows = list(rolling_windows(_stream(length), size, prefix))
    targets = [int(target) for window in windows for target in window.targets]
    assert targets == list(range(100 if prefix else 101, 100 + length))
    for window in windows:
        assert len(window.ids) <= size
        before = window.ids[window.read]
        assert ((before + 1 == window.targets) | (before == prefix)).all()


@given(length=st.integers(0, 120), size=st.integers(2, 30), bos=st.sampled_from([None, 7]))
def test_half_windows_begin_with_bos_and_score_their_second_half(length: int, size: int, bos: int | None):
    windows = half_windows(_stream(length), size, bos)
    assert len(windows) == (length + (bos is not None)) // size
    for window in windows:
        assert len(window.ids) == size - 1
        assert len(window.targets) == size - 1 - size // 2
        assert (window.ids[window.read][1:] + 1 == window.targets[1:]).all()
        assert (window.ids[0] == 7) == (bos is not None)
        assert bos is None or (window.ids[1:] >= 100).all()


def test_block_windows_drop_the_remainder():
    windows = block_windows(_stream(35), 10)
    assert [list(window.ids[[0, -1]]) for window in windows] == [[100, 108], [110, 118], [120, 128]]


@pytest.mark.parametrize("protocol", ["block", "sliding", "lm-eval", "llama.cpp"])
def test_scoring_in_batches_changes_nothing(loaded, corpus: Corpus, protocol: str):
    causal = loaded("causal")
    text = causal.family.text(corpus.splits["test"], Scoring(protocol=protocol, block_size=32))
    single = score_windows(causal.session, text.windows, 1)
    batched = score_windows(causal.session, text.windows, 7)
    assert batched.nll == pytest.approx(single.nll, abs=1e-4)
    assert (batched.targets == single.targets).all()


def test_bytes_and_words_are_those_of_the_scored_text(loaded):
    causal = loaded("causal")
    documents = [Document("one", "The café by the river costs 5 €. " * 10), Document("two", "A road. " * 20)]
    text = causal.family.text(documents, Scoring(block_size=32))
    scored = score_windows(causal.session, text.windows)
    facts = _facts(causal, documents, Scoring(block_size=32))
    covered = causal.tokenizer.decode(scored.targets).encode("utf-8")
    assert scored.byte_lengths.sum() == len(covered)
    assert facts["bits_per_byte"].value == pytest.approx(scored.nll.sum() / math.log(2) / len(covered), rel=1e-9)
    words = sum(sums["words"] for sums in facts["word_perplexity"].samples)
    everything = sum(len(document.text.split()) for document in documents)
    assert everything - 2 * len(text.windows) - 12 <= words <= everything


def test_empty_documents_give_no_tokens_and_do_not_disturb_the_others(loaded):
    causal = loaded("causal")
    full = Document("full", "The people of the town want peace. " * 20)
    for protocol in ("block", "lm-eval"):
        scoring = Scoring(protocol=protocol, block_size=32)
        alone = _facts(causal, [full], scoring)["perplexity"]
        beside = _facts(causal, [Document("empty", ""), full, Document("blank", "")], scoring)["perplexity"]
        assert beside.value == pytest.approx(alone.value, rel=1e-9)
        assert [sums["document"] for sums in beside.samples] == [1]


def test_text_without_a_token_to_score_is_refused(loaded):
    causal = loaded("causal")
    for protocol in ("block", "sliding", "lm-eval", "llama.cpp"):
        with pytest.raises(HarnessError, match="there is no token to score"):
            _facts(causal, [Document("empty", "")], Scoring(protocol=protocol, block_size=32))


def test_half_a_surrogate_pair_is_refused_by_name(loaded):
    with pytest.raises(HarnessError, match="document 'bad' is not valid text: character 4"):
        stream(loaded("causal").tokenizer, [Document("bad", "road\ud800")])


def test_a_tokenizer_without_bos_or_eos_leaves_the_first_token_as_context(loaded):
    causal = loaded("causal")
    family = type(causal.family)(causal.tokenizer, causal.session.facts)
    family._first = None
    (document,) = [Document("one", "The people of the town want peace.")]
    text = family.text([document], Scoring(protocol="lm-eval", block_size=32))
    assert text.protocol["prefix"] == "none"
    tokens = len(causal.tokenizer(document.text)["input_ids"])
    assert sum(len(window.targets) for window in text.windows) == tokens - 1


def test_windows_longer_than_the_model_are_refused(loaded, corpus: Corpus):
    with pytest.raises(HarnessError, match="block_size 128 is longer than the model's 96 positions"):
        _facts(loaded("causal"), corpus.splits["test"], Scoring(block_size=128))


def test_a_block_size_of_nothing_is_the_models_longest(loaded, corpus: Corpus):
    fact = _facts(loaded("causal"), corpus.splits["test"], Scoring(block_size=0))["perplexity"]
    assert fact.protocol["block_size"] == 96
