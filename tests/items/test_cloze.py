from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from item_texts import documents, letters, normalised, seeds

from harness.corpora.corpus import Document
from harness.items.cloze import clozes

counts = st.integers(0, 60)
before_words = st.integers(1, 6)
after_words = st.integers(0, 6)


def words_asked(text: str, right_words: int = 1) -> set[tuple[str, str]]:
    """All words that can be asked for in a text, each with what stands right of it."""
    return {(item.word, item.right) for item in clozes([Document("", text)], 1000, 1, right_words, seed=0)}


@given(documents, counts, before_words, after_words, seeds)
def test_left_word_and_right_stand_together_in_their_normalised_document(docs, count, before, after, seed):
    for item in clozes(docs, count, before, after, seed):
        assert f" {item.left} {item.word}{item.right} " in f" {normalised(docs[item.document])} "


@given(documents, counts, before_words, after_words, seeds)
def test_a_word_is_at_least_three_letters_and_nothing_else(docs, count, before, after, seed):
    for item in clozes(docs, count, before, after, seed):
        assert item.word.isalpha()
        assert len(item.word) >= 3


@given(documents, counts, before_words, after_words, seeds)
def test_right_begins_with_a_space_or_punctuation(docs, count, before, after, seed):
    for item in clozes(docs, count, before, after, seed):
        assert item.right[0] == " " or unicodedata.category(item.right[0]).startswith("P")


@given(documents, counts, before_words, after_words, seeds)
def test_left_and_right_have_the_words_asked_for(docs, count, before, after, seed):
    for item in clozes(docs, count, before, after, seed):
        assert not item.left.endswith(" ")
        assert (len(item.left.split(" ")), item.right.count(" ")) == (before, after)


@given(documents, counts, before_words, after_words, seeds)
def test_no_cloze_is_asked_twice_even_in_different_documents(docs, count, before, after, seed):
    found = [item.question for item in clozes(docs, count, before, after, seed)]
    assert len(set(found)) == len(found) <= count


@given(documents, counts, seeds)
def test_the_same_arguments_give_the_same_clozes(docs, count, seed):
    assert clozes(docs, count, 3, 2, seed) == clozes(docs, count, 3, 2, seed)


@given(documents, counts, counts, seeds)
def test_a_larger_count_adds_clozes_at_the_end(docs, count, more, seed):
    assert clozes(docs, count + more, 3, 2, seed)[:count] == clozes(docs, count, 3, 2, seed)


def test_another_seed_gives_other_clozes():
    docs = [letters("a")]
    assert clozes(docs, 10, 3, 2, seed=0) != clozes(docs, 10, 3, 2, seed=1)


@given(st.integers(0, 50), st.integers(1, 6), seeds)
def test_clozes_are_dealt_evenly_and_the_first_documents_give_one_more(count, amount, seed):
    docs = [letters(chr(ord("a") + i)) for i in range(amount)]
    dealt = Counter(item.document for item in clozes(docs, count, 4, 2, seed))
    assert [dealt[i] for i in range(amount)] == [count // amount + (i < count % amount) for i in range(amount)]


@given(seeds)
def test_a_document_added_at_the_end_leaves_the_clozes_of_the_others(seed):
    docs = [letters("a"), letters("b")]
    more = clozes([*docs, letters("c")], 30, 4, 2, seed)
    assert [item for item in more if item.document < 2] == clozes(docs, 20, 4, 2, seed)


def test_punctuation_after_a_word_goes_to_the_right():
    assert words_asked('1 bridge, 2 (or) café.") 3') == {("bridge", ", 2"), ("café", '.") 3')}


@pytest.mark.parametrize(
    "token", ['"peace', "don't", "well-known", "a1b2", "cafe\u0301", "cost€", "<unk>", "ox,", "U.S."]
)
def test_a_token_that_is_not_a_whole_word_is_not_asked_for(token):
    assert words_asked(f"1 {token} 2") == set()


def test_a_word_with_nothing_to_its_right_is_not_asked_for():
    assert words_asked("1 road 2 river, 3 bridge", right_words=0) == {("river", ",")}


def test_a_word_within_the_first_context_words_is_not_asked_for():
    found = clozes([Document("", "one two three four five six seven")], 100, 3, 1, seed=0)
    assert {item.word for item in found} == {"four", "five", "six"}


@pytest.mark.parametrize("text", ["", " \n ", "too short", "1 2 3 4 5 6 7 8 9"])
def test_a_document_that_is_empty_too_short_or_without_words_gives_none(text):
    assert {item.document for item in clozes([Document("", text), letters("a")], 10, 4, 2, seed=0)} == {1}


def test_a_count_of_zero_gives_no_clozes():
    assert clozes([letters("a")], 0, 4, 2, seed=0) == []


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, -1)])
def test_sizes_that_leave_no_context_are_refused(before, after):
    with pytest.raises(ValueError, match="words"):
        clozes([letters("a")], 1, before, after, seed=0)
