"""Measures on the same items: put to tiny models of every family, and to made-up likelihoods."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from harness.corpora.corpus import Corpus, Document
from harness.engines.base import Weights
from harness.errors import HarnessError
from harness.items.blimp import BlimpPairs
from harness.items.items import Choice, Cloze, Continuation
from harness.items.questionnaire import Questionnaire, Quotas, draw_up
from harness.quality.likelihood import BOUNDARY, resized
from harness.quality.questions import Questions, answers
from harness.quality.windows import Window, score_windows
from harness.records.metrics import ACROSS_FAMILIES, METRICS

QUOTAS = Quotas(continuations=6, clozes=10, choices=6, context_words=8, continuation_words=3, right_words=4)


class FixedLikelihoods:
    """A session over four tokens with the same logits everywhere."""

    def __init__(self, probabilities: list[float]) -> None:
        self._logits = np.log(np.asarray(probabilities)).astype(np.float32)
        self.facts = SimpleNamespace(
            family="causal", vocabulary_size=len(probabilities), positions=None, weights=Weights(0)
        )

    def score(self, ids, read, decoder_ids=None):
        yield np.repeat(self._logits[np.newaxis], len(read), axis=0)


class OneTokenAWord:
    """A family in which a word is the token that its first letter names; a = 0, b = 1, ..."""

    boundary = None
    closing = None
    unknown = 3

    def _window(self, text: str, document: int, item: int) -> list[Window]:
        targets = np.asarray([ord(word[0]) - ord("a") for word in text.split()])
        places = np.arange(len(targets))
        owners = np.full(len(targets), document)
        return [Window(places, places, targets, owners, places, places + 1, item)]

    def continuation(self, before: str, after: str, document: int, item: int) -> list[Window]:
        return self._window(after, document, item)

    def word(self, left: str, word: str, right: str | None, document: int, item: int) -> list[Window] | None:
        return None if right is not None else self._window(word, document, item)

    def sentence(self, text: str, document: int, item: int) -> list[Window]:
        return self._window(text, document, item)


@pytest.fixture
def asked() -> Questions:
    names = [Document("first", ""), Document("second", "")]
    return Questions(FixedLikelihoods([0.5, 0.25, 0.125, 0.125]), OneTokenAWord(), names, np.array([9, 1, 1, 1]))


def test_continuations_are_bits_over_bytes(asked: Questions):
    items = [Continuation(0, "x", " a b"), Continuation(1, "x", " c c c")]
    fact = asked.continuations(items)[0]
    assert fact.metric == "continuation_bits_per_byte"
    assert fact.value == pytest.approx((1 + 2 + 9) / (4 + 6))
    assert [(s["document"], round(s["bits"], 6), s["bytes"]) for s in fact.samples] == [(0, 3.0, 4.0), (1, 9.0, 6.0)]


def test_a_word_is_predicted_only_as_a_whole(asked: Questions):
    items = [Cloze(0, "x", "a", " y"), Cloze(0, "x", "b", " y"), Cloze(1, "x", "a a", " y"), Cloze(1, "x", "a b", " y")]
    accuracy, bits = asked.clozes(items, both_sides=False)[:2]
    assert accuracy.value == 0.5
    assert bits.value == pytest.approx((1 + 2 + 2 + 3) / (1 + 1 + 3 + 3))


def test_a_token_for_the_unknown_is_no_word(asked: Questions):
    asked._session._logits = np.log(np.asarray([0.1, 0.1, 0.1, 0.7])).astype(np.float32)
    accuracy = asked.clozes([Cloze(0, "x", "d", " y")], both_sides=False)[0]
    assert accuracy.value == 0
    assert accuracy.protocol["unknown_tokens"] == 1


def test_families_that_cannot_see_the_right_side_are_not_asked_with_it(asked: Questions):
    assert asked.clozes([Cloze(0, "x", "a", " y")], both_sides=True) == []


def test_a_tie_counts_one_half(asked: Questions):
    items = [Choice(0, "a b", "b b", "k"), Choice(0, "b a", "a b", "k"), Choice(1, "c", "a", "k")]
    accuracy = asked.choices(items)[0]
    assert accuracy.value == pytest.approx((1 + 0.5 + 0) / 3)


def test_the_floor_is_taken_on_the_same_items(asked: Questions):
    items = [Continuation(0, "x", " a b"), Continuation(1, "x", " c")]
    fact, floor = asked.continuations(items)
    assert floor.metric == f"unigram_{fact.metric}"
    expected = -(math.log2(10 / 16) + 2 * math.log2(2 / 16)) / 6
    assert floor.value == pytest.approx(expected)


def test_blimp_is_clustered_by_paradigm(asked: Questions):
    pairs = BlimpPairs(("one", "two"), (Choice(0, "a", "b", "one"), Choice(1, "b", "a", "two")))
    facts = answers(asked._session, asked._family, [], asked._counts, Questionnaire(blimp=pairs))
    assert [fact.metric for fact in facts] == ["blimp_accuracy", "unigram_blimp_accuracy"]
    assert [(s["document"], s["correct"], s["items"]) for s in facts[0].samples] == [(0, 1, 1), (1, 0, 1)]


@pytest.fixture(scope="module")
def questions(corpus: Corpus) -> Questionnaire:
    return draw_up(corpus.splits["test"], QUOTAS)


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_every_family_answers_the_same_items(loaded, corpus: Corpus, questions: Questionnaire, family: str):
    one = loaded(family)
    counts = np.ones(len(one.tokenizer), dtype=np.int64)
    facts = {f.metric: f for f in answers(one.session, one.family, corpus.splits["test"], counts, questions)}
    assert set(facts) <= set(METRICS)
    assert set(ACROSS_FAMILIES) - {"blimp_accuracy"} <= set(facts)
    assert ("cloze_accuracy_both_sides" in facts) == (family != "causal")
    assert facts["continuation_bits_per_byte"].protocol["items"] == 6
    size = sum(len(item.continuation.encode("utf-8")) for item in questions.continuations)
    assert sum(sums["bytes"] for sums in facts["continuation_bits_per_byte"].samples) == size
    letters = sum(len(item.word) for item in questions.clozes)
    assert sum(sums["characters"] for sums in facts["cloze_bits_per_char"].samples) == letters
    extra = {"causal": set(), "masked": {"pseudo_perplexity", "pseudo_perplexity_by_token"}}
    assert extra.get(family, {"infilling_perplexity"}) <= set(facts)


def test_a_word_that_begins_another_has_no_credit_of_it(loaded):
    """Of "ma" and "market": without the end of the word, the first would hold the probability of the second too."""
    causal = loaded("causal")
    names = causal.tokenizer.convert_ids_to_tokens(list(range(len(causal.tokenizer))))
    letters = next(name[1:] for name in names if name.startswith("Ġ") and name[1:].isalpha() and len(name) == 3)
    (window,) = causal.family.word("The people of the", letters, None, 0, 0)
    scored = score_windows(causal.session, [window], boundary=causal.family.boundary)
    assert list(scored.targets)[-1] == BOUNDARY
    logits = np.concatenate(list(causal.session.score(window.ids[np.newaxis], window.read[-1:])))[0].astype(np.float64)
    share = np.exp(logits - logits.max())
    ends = share[causal.family.boundary].sum() / share.sum()
    assert 0 < ends < 1
    assert np.exp(-scored.nll[-1]) == pytest.approx(ends, rel=1e-6)


def test_masking_by_token_asks_again_only_where_a_word_has_several(loaded, corpus: Corpus, questions: Questionnaire):
    masked = loaded("masked")
    counts = np.ones(len(masked.tokenizer), dtype=np.int64)
    facts = answers(masked.session, masked.family, corpus.splits["test"], counts, questions)
    (found,) = [fact.value for fact in facts if fact.metric == "pseudo_perplexity_by_token"]
    windows = [w for item in questions.choices for w in masked.family.sentence_by_token(item.good, 0, 0)]
    assert found == pytest.approx(np.exp(score_windows(masked.session, windows).nll.mean()), rel=1e-6)


def test_quantised_variants_answer_one_window_at_a_time(asked: Questions):
    asked._session.facts.weights = Weights(1, {"int8": 1})
    again = Questions(asked._session, asked._family, asked._names, asked._counts)
    assert again.continuations([Continuation(0, "x", " a b")])[0].protocol["batch_size"] == 1


def test_the_floor_of_a_closed_word_is_told_where_it_ends(loaded, corpus: Corpus, questions: Questionnaire):
    seq2seq = loaded("seq2seq")
    counts = np.arange(len(seq2seq.tokenizer)) % 50
    facts = {f.metric: f for f in answers(seq2seq.session, seq2seq.family, corpus.splits["test"], counts, questions)}
    ids = [seq2seq.tokenizer(f" {item.word}", add_special_tokens=False)["input_ids"] for item in questions.clozes]
    log_frequencies = np.log2((counts + 1) / (counts + 1).sum())
    expected = -sum(log_frequencies[word].sum() for word in ids) / sum(len(item.word) for item in questions.clozes)
    assert facts["unigram_cloze_bits_per_char"].value == pytest.approx(expected, rel=1e-9)


def test_a_model_may_have_more_or_fewer_entries_than_the_tokenizer_counts():
    assert list(resized(np.array([1, 2, 3]), 5)) == [1, 2, 3, 0, 0]
    assert list(resized(np.array([1, 2, 3]), 2)) == [1, 2]


def test_the_end_of_a_causal_word_is_any_token_that_begins_another(loaded):
    causal = loaded("causal")
    names = causal.tokenizer.convert_ids_to_tokens(list(range(len(causal.tokenizer))))
    flags = dict(zip(names, causal.family.boundary, strict=True))
    assert flags["Ġthe"]
    assert flags["."]
    assert not flags["e"]


def test_an_item_longer_than_the_model_says_which_key_makes_it_shorter(loaded):
    causal = loaded("causal")
    item = Continuation(0, "The road to the town. " * 40, " is closed")
    asked = Questions(causal.session, causal.family, [Document("one", "")], np.ones(len(causal.tokenizer)))
    with pytest.raises(HarnessError, match=r"longer than the model's 96 positions; 'items.context_words' makes"):
        asked.continuations([item])
