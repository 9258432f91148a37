"""Do 95 % intervals cover the truth in 95 ± 2 of 100 simulated corpora? 2,500 of each: Monte-Carlo error 0.44 %.

Documents are as long as those of real corpora are unequal (the State of the Union addresses: log-normal, sigma 0.6 to
0.85) and differ in difficulty by more than their tokens explain, skewed towards hard ones. Five documents are the
fewest that a test set should have: intervals from them may be a little too wide, never too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest

from harness.stats.intervals import Estimate, clustered_ratio, exponential, median_estimate, wilson
from harness.stats.paired import paired_ratio_difference, paired_time_ratio

REPETITIONS = 2500
DOCUMENTS = (5, 10, 25, 62)
LOSS, GAIN = 3.5, 0.05


def coverage(estimates: Iterable[Estimate], truth: float) -> float:
    return sum(each.low <= truth <= each.high for each in estimates) / REPETITIONS


def assert_nominal(covered: float, documents: int) -> None:
    assert 0.93 <= covered <= (0.98 if documents == 5 else 0.97)


def corpora(rng: np.random.Generator, documents: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Nats and tokens [repetitions, documents]: skewed tokens around each document's own, skewed mean loss."""
    tokens = np.rint(200 * rng.lognormal(sigma=spread, size=(REPETITIONS, documents))).clip(5)
    means = LOSS + 0.2 * (rng.gamma(4.0, 0.5, tokens.shape) - 2)
    token_variance = 2.5**2
    return rng.gamma(tokens * means**2 / token_variance, token_variance / means), tokens


def variants(
    rng: np.random.Generator, documents: int, own_tokenizer: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Nats and tokens of a parent and a variant that loses GAIN nats a token, by document more or less."""
    nats, tokens = corpora(rng, documents, spread=0.6)
    loss = tokens * rng.normal(GAIN, 0.03, tokens.shape) + 0.15 * np.sqrt(tokens) * rng.standard_normal(tokens.shape)
    retokenized = np.rint(tokens * rng.lognormal(sigma=0.05, size=tokens.shape)) if own_tokenizer else tokens
    return nats, tokens, (nats + loss) * retokenized / tokens, retokenized


def answers(rng: np.random.Generator, documents: int, logits: list[float]) -> tuple[list[np.ndarray], np.ndarray]:
    """Items answered rightly by each model and items asked, of four to ten a document; the models share the
    difficulty of documents, and of three items in five."""
    items = rng.integers(4, 11, size=(REPETITIONS, documents))
    asked = np.arange(10) < items[..., None]
    difficulty = 0.7 * rng.standard_normal((REPETITIONS, documents, 1))
    common, is_common = rng.random(asked.shape), rng.random(asked.shape) < 0.6
    right = []
    for logit in logits:
        draw = np.where(is_common, common, rng.random(asked.shape))
        right.append((asked & (draw < 1 / (1 + np.exp(-(logit + difficulty))))).sum(axis=2))
    return right, items


def expected_accuracy(logit: float) -> float:
    """The mean of the logistic function over documents of normal difficulty, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    return float((weights / (1 + np.exp(-(logit + 0.7 * nodes)))).sum() / weights.sum())


@pytest.mark.parametrize("spread", [0.0, 0.6, 0.85], ids=["excerpts of equal length", "sigma 0.6", "sigma 0.85"])
@pytest.mark.parametrize("documents", DOCUMENTS)
def test_a_mean_loss_is_covered_at_the_nominal_rate(documents, spread):
    nats, tokens = corpora(np.random.default_rng(documents), documents, spread)
    assert_nominal(coverage(map(clustered_ratio, nats.tolist(), tokens.tolist()), LOSS), documents)


@pytest.mark.parametrize("documents", DOCUMENTS)
def test_a_perplexity_is_covered_at_the_nominal_rate(documents):
    nats, tokens = corpora(np.random.default_rng(100 + documents), documents, spread=0.7)
    means = map(clustered_ratio, nats.tolist(), tokens.tolist())
    assert_nominal(coverage(map(exponential, means), math.exp(LOSS)), documents)


@pytest.mark.parametrize("logit", [0.0, 1.2])
@pytest.mark.parametrize("documents", DOCUMENTS)
def test_an_accuracy_is_covered_at_the_nominal_rate(documents, logit):
    [right], items = answers(np.random.default_rng(200 + documents), documents, [logit])
    estimates = map(clustered_ratio, right.tolist(), items.tolist())
    assert_nominal(coverage(estimates, expected_accuracy(logit)), documents)


@pytest.mark.parametrize("own_tokenizer", [False, True])
@pytest.mark.parametrize("documents", DOCUMENTS)
def test_a_paired_difference_of_losses_is_covered_at_the_nominal_rate(documents, own_tokenizer):
    rows = variants(np.random.default_rng(300 + documents), documents, own_tokenizer)
    estimates = map(paired_ratio_difference, *(each.tolist() for each in rows))
    assert_nominal(coverage(estimates, GAIN), documents)


@pytest.mark.parametrize("documents", DOCUMENTS)
def test_a_paired_difference_of_accuracies_is_covered_at_the_nominal_rate(documents):
    (base, new), items = answers(np.random.default_rng(400 + documents), documents, [0.8, 1.1])
    estimates = map(paired_ratio_difference, base.tolist(), items.tolist(), new.tolist(), items.tolist())
    assert_nominal(coverage(estimates, expected_accuracy(1.1) - expected_accuracy(0.8)), documents)


@pytest.mark.parametrize("readings", [6, 7, 10, 20, 30])
def test_a_median_time_is_covered_at_least_as_often_as_it_says(readings):
    """Order statistics come in steps: six readings cover with 1 - 2 / 2^6 = 96.9 %, seven with 98.4 %."""
    times = np.random.default_rng(500 + readings).lognormal(mean=1.0, sigma=0.3, size=(REPETITIONS, readings))
    assert coverage(map(median_estimate, times.tolist()), math.exp(1.0)) >= 0.95 - 0.01


@pytest.mark.parametrize("rounds", [6, 7, 10, 20, 30])
def test_a_paired_ratio_of_times_is_covered_at_least_as_often_as_it_says(rounds):
    rng = np.random.default_rng(600 + rounds)
    base = rng.lognormal(sigma=0.3, size=(REPETITIONS, rounds))
    new = 1.1 * base * rng.lognormal(sigma=0.05, size=base.shape)
    assert coverage(map(paired_time_ratio, base.tolist(), new.tolist()), 1.1) >= 0.95 - 0.01


@pytest.mark.parametrize("trials", [5, 10, 25, 62, 200])
def test_shares_from_0_to_1_are_covered_at_the_nominal_rate(trials):
    """On the average over shares: for a single one, any interval of a few whole successes is above or below."""
    rng = np.random.default_rng(700 + trials)
    shares = rng.random(REPETITIONS)
    estimates = [wilson(successes, trials) for successes in rng.binomial(trials, shares).tolist()]
    covered = sum(each.low <= share <= each.high for each, share in zip(estimates, shares, strict=True))
    assert covered / REPETITIONS == pytest.approx(0.95, abs=0.02)
