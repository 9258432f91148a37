"""Measures on the same items for every candidate, whatever its family or tokenizer: what may be ranked across them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.corpora.corpus import Document
from harness.engines.base import Session
from harness.errors import HarnessError
from harness.items.items import Choice, Cloze, Continuation
from harness.items.questionnaire import Questionnaire
from harness.quality.family import Family
from harness.quality.likelihood import Floats, Ints, ScoredTokens, joined, resized, unigram
from harness.quality.masked import Masked
from harness.quality.windows import ROWS, Window, score_windows
from harness.records.record import Fact
from harness.stats.intervals import clustered_ratio, clustered_share, exponential

TIE = 1e-6
"""Sentences whose log-likelihoods differ by no more nats than this are equally likely: rounding alone differs so."""

GROUP = 8192
"""Windows that are laid out at once."""

Ask = Callable[[str, int, int], list[Window]]
"""From a text, its document and its item to its windows."""

Measured = dict[str, tuple[str, Floats, str, Sequence[float]]]
"""A metric with what it is the ratio of: a name and a value an item, above and below."""


def answers(
    session: Session, family: Family, documents: Sequence[Document], counts: Ints, questions: Questionnaire
) -> list[Fact]:
    """Every measure on the items of a run. A kind of which there are no items gives none.

    ``counts`` [vocabulary] are tokens of the training split: each measure is also taken under them, as ``unigram_...``,
    for a floor. A token that the vocabulary cannot spell counts as not predicted; how many there are stands in the
    protocol. Raises HarnessError for an item that is longer than the model's positions.
    """
    asked = Questions(session, family, documents, counts)
    facts: list[Fact] = []
    if questions.continuations:
        facts += asked.continuations(questions.continuations)
    if questions.clozes:
        facts += asked.clozes(questions.clozes, both_sides=False) + asked.clozes(questions.clozes, both_sides=True)
    if questions.choices:
        facts += asked.choices_and_sentences(questions.choices)
    if questions.blimp is not None:
        paradigms = [Document(name, "") for name in questions.blimp.paradigms]
        facts += Questions(session, family, paradigms, counts).choices(questions.blimp.choices, "blimp_accuracy")
    return facts


class Questions:
    """Asks one session. ``names`` are the clusters that items come from, for errors."""

    def __init__(self, session: Session, family: Family, names: Sequence[Document], counts: Ints) -> None:
        self._session, self._family, self._names = session, family, names
        self._counts = resized(counts, session.facts.vocabulary_size)
        self._rows = 1 if session.facts.weights.quantised_share > 0 else ROWS

    def continuations(self, items: Sequence[Continuation]) -> list[Fact]:
        """``continuation_bits_per_byte``: sum of NLL / (ln 2 * UTF-8 bytes of the continuations)."""
        tokens = self._score(
            [self._family.continuation(it.prefix, it.continuation, it.document, i) for i, it in enumerate(items)]
        )
        sizes = [float(len(item.continuation.encode("utf-8"))) for item in items]

        def measure(scored: ScoredTokens) -> Measured:
            bits = _by_item(scored, len(items))[0] / math.log(2)
            return {"continuation_bits_per_byte": ("bits", bits, "bytes", sizes)}

        return self._facts(tokens, items, measure)

    def clozes(self, items: Sequence[Cloze], both_sides: bool) -> list[Fact]:
        """``cloze_accuracy``: the share of words that greedy decoding gives, whole and no longer; and
        ``cloze_bits_per_char``: sum of NLL / (ln 2 * letters). With both sides, for families that can see them."""
        windows = [
            self._family.word(it.left, it.word, it.right if both_sides else None, it.document, i)
            for i, it in enumerate(items)
        ]
        if any(each is None for each in windows):
            return []
        tokens = self._score([each for each in windows if each is not None])
        suffix = "_both_sides" if both_sides else ""
        letters, ones = [float(len(item.word)) for item in items], [1.0] * len(items)

        def measure(scored: ScoredTokens) -> Measured:
            nll, correct = _by_item(scored, len(items))
            return {
                f"cloze_accuracy{suffix}": ("correct", correct, "items", ones),
                f"cloze_bits_per_char{suffix}": ("bits", nll / math.log(2), "characters", letters),
            }

        return self._facts(tokens, items, measure)

    def choices(
        self, items: Sequence[Choice], metric: str = "forced_choice_accuracy", by_token: bool = False
    ) -> list[Fact]:
        """The share of pairs of which the good sentence is the likelier; a tie counts one half. ``by_token`` asks a
        masked model for the original pseudo-log-likelihood."""
        ask: Ask = self._family.sentence
        if by_token and isinstance(self._family, Masked):
            ask = self._family.sentence_by_token
        return self._chosen(self._score(self._sentences(items, ask)), items, metric)

    def choices_and_sentences(self, items: Sequence[Choice]) -> list[Fact]:
        """The same, and from the good sentences alone the perplexity of whole sentences: exp(-sum of PLL / tokens) of
        masked models, with the rest of a word masked and with each token masked alone; of seq2seq models, of words
        infilled one by one. A causal model's perplexity is that of the text."""
        windows = list(self._sentences(items, self._family.sentence))
        tokens = self._score(windows)
        facts = self._chosen(tokens, items, "forced_choice_accuracy")
        if isinstance(self._family, Masked):
            facts.append(_sentence_perplexity("pseudo_perplexity", _good(tokens)))
            facts.append(_sentence_perplexity("pseudo_perplexity_by_token", self._by_token(items, windows, tokens)))
        elif self._session.facts.family == "seq2seq":
            facts.append(_sentence_perplexity("infilling_perplexity", _good(tokens)))
        return facts

    def _chosen(self, tokens: ScoredTokens, items: Sequence[Choice], metric: str) -> list[Fact]:
        ones = [1.0] * len(items)

        def measure(scored: ScoredTokens) -> Measured:
            nll = _by_item(scored, 2 * len(items))[0]
            advantage = nll[1::2] - nll[::2]
            correct = np.where(np.abs(advantage) <= TIE, 0.5, advantage > 0)
            return {metric: ("correct", correct, "items", ones)}

        return self._facts(tokens, items, measure)

    def _by_token(self, items: Sequence[Choice], asked: list[list[Window]], within: ScoredTokens) -> ScoredTokens:
        """Good sentences with each token masked alone. Where a token is its whole word that was asked before."""
        assert isinstance(self._family, Masked)
        alone = [w for i, it in enumerate(items) for w in self._family.sentence_by_token(it.good, it.document, 2 * i)]
        before = [window for windows in asked[::2] for window in windows]
        new = [i for i, (one, other) in enumerate(zip(alone, before, strict=True)) if (one.ids != other.ids).any()]
        tokens = _good(within)
        nll = tokens.nll.copy()
        if new:
            nll[new] = self._score([[alone[i] for i in new]]).nll
        return replace(tokens, nll=nll)

    def _sentences(self, items: Sequence[Choice], ask: Ask) -> Iterator[list[Window]]:
        """Two sentences an item, the good one first."""
        for i, item in enumerate(items):
            for j, text in enumerate((item.good, item.bad)):
                yield ask(text, item.document, 2 * i + j)

    def _score(self, asked: Iterable[Sequence[Window]]) -> ScoredTokens:
        """Score windows in groups: all of BLiMP's would not fit in memory for a masked model."""
        parts: list[ScoredTokens] = []
        group: list[Window] = []
        for windows in asked:
            group += windows
            if len(group) >= GROUP:
                parts.append(self._score_group(group))
                group = []
        if group:
            parts.append(self._score_group(group))
        return joined(parts)

    def _score_group(self, windows: Sequence[Window]) -> ScoredTokens:
        try:
            tokens = score_windows(self._session, windows, self._rows, self._family.boundary).checked(self._names)
        except HarnessError as error:
            raise HarnessError(f"items: {error}") from error
        return self._known(tokens)

    def _known(self, tokens: ScoredTokens) -> ScoredTokens:
        """Tokens for the unknown count as not predicted."""
        return replace(tokens, top1=np.where(tokens.targets == self._family.unknown, 0.0, tokens.top1))

    def _facts(
        self, tokens: ScoredTokens, items: Sequence[Any], measure: Callable[[ScoredTokens], Measured]
    ) -> list[Fact]:
        owners = np.asarray([item.document for item in items])
        unknown = int((tokens.targets == self._family.unknown).sum())
        floor = self._known(unigram(tokens, self._counts, self._family.boundary, self._family.closing))
        facts = []
        for prefix, scored in (("", tokens), ("unigram_", floor)):
            for metric, (total_name, totals, weight_name, weights) in measure(scored).items():
                samples = [
                    {
                        "document": int(index),
                        total_name: float(np.asarray(totals)[owners == index].sum()),
                        weight_name: float(np.asarray(weights)[owners == index].sum()),
                    }
                    for index in np.unique(owners)
                ]
                interval = clustered_share if total_name == "correct" else clustered_ratio
                estimate = interval([s[total_name] for s in samples], [s[weight_name] for s in samples])
                about = {
                    "items": len(items),
                    "clusters": len(samples),
                    "batch_size": self._rows,
                    "unknown_tokens": unknown,
                }
                facts.append(Fact.of(f"{prefix}{metric}", estimate, samples, about))
        return facts


def _by_item(tokens: ScoredTokens, count: int) -> tuple[Floats, Floats]:
    """NLL of each item, and whether all of it was likeliest."""
    nll: Floats = np.bincount(tokens.items, weights=tokens.nll, minlength=count).astype(np.float64)
    if (np.bincount(tokens.items, minlength=count) == 0).any():
        raise HarnessError("an item has no token to score: it is a single token, and nothing stands before it")
    correct = np.ones(count)
    np.multiply.at(correct, tokens.items, tokens.top1)
    return nll, correct


def _good(tokens: ScoredTokens) -> ScoredTokens:
    """The tokens of good sentences, which are the even items."""
    return tokens.only(tokens.items % 2 == 0)


def _sentence_perplexity(metric: str, tokens: ScoredTokens) -> Fact:
    """exp(sum of NLL / tokens), clustered by document."""
    samples = [
        {"document": int(index), "nll": float(tokens.nll[mine].sum()), "tokens": int(mine.sum())}
        for index in np.unique(tokens.documents)
        for mine in [tokens.documents == index]
    ]
    estimate = exponential(clustered_ratio([s["nll"] for s in samples], [s["tokens"] for s in samples]))
    sentences = len(np.unique(tokens.items))
    about = {"protocol": "whole sentences", "sentences": sentences, "tokens_scored": len(tokens.nll)}
    return Fact.of(metric, estimate, samples, about)
