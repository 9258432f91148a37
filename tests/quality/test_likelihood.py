"""Likelihoods of logits: the arithmetic alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from harness.corpora.corpus import Document
from harness.errors import HarnessError
from harness.quality.likelihood import BOUNDARY, ScoredTokens, divergence, token_nll, unigram

DOCUMENTS = [Document("first", "a"), Document("second", "b")]


def _scored(nll: list[float], targets: list[int] | None = None) -> ScoredTokens:
    places = np.arange(len(nll))
    ids = np.asarray(targets if targets is not None else [0] * len(nll))
    return ScoredTokens(places % 2, places, places, places + 1, ids, np.asarray(nll), np.zeros(len(nll)))


@given(st.integers(1, 40), st.integers(2, 30), st.integers(0, 1000))
def test_nll_is_that_of_scipy_in_float64(count: int, vocabulary: int, seed: int):
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((count, vocabulary)) * 30).astype(np.float32)
    targets = rng.integers(vocabulary, size=count)
    nll, top1 = token_nll(logits, targets)
    expected = -log_softmax(logits.astype(np.float64), axis=-1)[np.arange(count), targets]
    assert nll == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert (top1 == (logits.argmax(axis=-1) == targets)).all()


def test_large_logits_do_not_overflow():
    nll, _ = token_nll(np.array([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]], dtype=np.float32), np.array([0, 2]))
    assert nll[0] == 0
    assert nll[1] == pytest.approx(2e4)


def test_a_tie_for_the_likeliest_token_is_shared():
    _, top1 = token_nll(np.array([[2.0, 2.0, 2.0, 1.0]], dtype=np.float32), np.array([1]))
    assert top1[0] == pytest.approx(1 / 3)


def test_the_end_of_a_word_adds_up_the_tokens_that_begin_another():
    logits = np.log(np.array([[0.1, 0.2, 0.3, 0.4]])).astype(np.float32)
    nll, top1 = token_nll(logits, np.array([BOUNDARY]), np.array([True, False, True, False]))
    assert nll[0] == pytest.approx(-np.log(0.4), rel=1e-6)
    assert top1[0] == 0
    _, top1 = token_nll(logits, np.array([BOUNDARY]), np.array([False, False, False, True]))
    assert top1[0] == 1


@pytest.mark.parametrize("value", [np.inf, np.nan, -np.inf])
def test_a_likelihood_that_is_not_finite_names_its_document(value: float):
    with pytest.raises(HarnessError, match="document 'second': 1 tokens have a likelihood that is not a finite number"):
        _scored([1.0, value]).checked(DOCUMENTS)


def test_logits_that_are_not_numbers_are_found():
    logits = np.array([[np.nan, 0.0], [np.inf, 0.0], [-np.inf, 0.0]], dtype=np.float32)
    nll, _ = token_nll(logits, np.array([1, 0, 0]))
    assert not np.isfinite(nll).any()


def test_nothing_scored_is_an_error():
    with pytest.raises(HarnessError, match="there is no token to score"):
        _scored([]).checked(DOCUMENTS)


@given(st.integers(1, 20), st.integers(0, 1000))
def test_divergence_is_never_negative_and_nothing_from_itself(count: int, seed: int):
    rng = np.random.default_rng(seed)
    one, other = (rng.standard_normal((count, 9)).astype(np.float32) for _ in range(2))
    kl, agrees = divergence(one, other)
    p, q = (log_softmax(each.astype(np.float64), axis=-1) for each in (one, other))
    assert kl == pytest.approx((np.exp(p) * (p - q)).sum(axis=-1), abs=1e-12)
    assert (kl >= 0).all()
    assert (agrees == (one.argmax(axis=-1) == other.argmax(axis=-1))).all()
    kl, agrees = divergence(one, one)
    assert kl == pytest.approx(0, abs=1e-12)
    assert (agrees == 1).all()


def test_the_unigram_baseline_adds_one_to_each_count():
    scored = unigram(_scored([0.0, 0.0, 0.0], [0, 1, 2]), np.array([3, 0, 5]))
    assert scored.nll == pytest.approx(-np.log(np.array([4, 1, 6]) / 11))
    assert list(scored.top1) == [0, 0, 1]


def test_the_unigram_baseline_knows_the_end_of_a_word():
    scored = unigram(_scored([0.0], [BOUNDARY]), np.array([3, 0, 5]), np.array([True, True, False]))
    assert scored.nll[0] == pytest.approx(-np.log(5 / 11))
    assert scored.top1[0] == 0
