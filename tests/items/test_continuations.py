from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from item_texts import documents, letters, normalised, seeds

from harness.corpora.corpus import Document
from harness.items.continuations import continuations

sizes = st.integers(1, 6)


@given(documents, st.integers(0, 60), sizes, sizes, seeds)
def test_prefix_and_continuation_stand_together_in_their_normalised_document(docs, count, before, after, seed):
    for item in continuations(docs, count, before, after, seed):
        assert f" {item.prefix}{item.continuation} " in f" {normalised(docs[item.document])} "


@given(documents, st.integers(0, 60), sizes, sizes, seeds)
def test_prefix_and_continuation_have_the_words_asked_for(docs, count, before, after, seed):
    for item in continuations(docs, count, before, after, seed):
        assert item.continuation.startswith(" ")
        assert not item.prefix.endswith(" ")
        assert (len(item.prefix.split(" ")), len(item.continuation[1:].split(" "))) == (before, after)


@given(documents, st.integers(0, 60), sizes, sizes, seeds)
def test_no_continuation_is_asked_twice_even_in_different_documents(docs, count, before, after, seed):
    found = [item.question for item in continuations(docs, count, before, after, seed)]
    assert len(set(found)) == len(found) <= count


@given(documents, st.integers(0, 60), seeds)
def test_the_same_arguments_give_the_same_continuations(docs, count, seed):
    assert continuations(docs, count, 3, 2, seed) == continuations(docs, count, 3, 2, seed)


@given(documents, st.integers(0, 60), st.integers(0, 60), seeds)
def test_a_larger_count_adds_continuations_at_the_end(docs, count, more, seed):
    assert continuations(docs, count + more, 3, 2, seed)[:count] == continuations(docs, count, 3, 2, seed)


def test_another_seed_gives_other_continuations():
    docs = [letters("a")]
    assert continuations(docs, 10, 3, 2, seed=0) != continuations(docs, 10, 3, 2, seed=1)


def test_documents_of_one_length_are_not_asked_at_the_same_places():
    found = [item.prefix for item in continuations([letters("Q"), letters("Z")], 40, 3, 2, seed=0)]
    assert [prefix.replace("Q", "") for prefix in found[::2]] != [prefix.replace("Z", "") for prefix in found[1::2]]


@given(st.integers(0, 50), st.integers(1, 6), seeds)
def test_continuations_are_dealt_evenly_and_the_first_documents_give_one_more(count, amount, seed):
    docs = [letters(chr(ord("a") + i)) for i in range(amount)]
    dealt = Counter(item.document for item in continuations(docs, count, 4, 2, seed))
    assert [dealt[i] for i in range(amount)] == [count // amount + (i < count % amount) for i in range(amount)]


@given(seeds)
def test_a_document_added_at_the_end_leaves_the_continuations_of_the_others(seed):
    docs = [letters("a"), letters("b")]
    fewer = continuations(docs, 20, 4, 2, seed)
    more = continuations([*docs, letters("c")], 30, 4, 2, seed)
    assert [item for item in more if item.document < 2] == fewer


@given(seeds)
def test_another_text_of_one_document_leaves_the_continuations_of_the_others(seed):
    first, second = (continuations([letters("a"), letters(other)], 20, 4, 2, seed) for other in "bc")
    assert first[::2] == second[::2]


def test_continuations_overlap_only_once_no_disjoint_ones_are_left():
    words = [f"w{i}" for i in range(50)]
    # from any offset of three, at least 14 disjoint continuations fit into the 45 words after the context
    found = continuations([Document("words", " ".join(words))], 14, 5, 3, seed=4)
    continued = [word for item in found for word in item.continuation.split()]
    assert len(set(continued)) == len(continued) == 14 * 3


def test_all_places_are_used_where_more_is_asked_than_the_text_holds():
    found = continuations([Document("words", "a b c d e f g")], 100, 2, 3, seed=0)
    assert sorted(item.prefix + item.continuation for item in found) == ["a b c d e", "b c d e f", "c d e f g"]


@pytest.mark.parametrize("text", ["", " \n ", "too short", "still one word too short"])
def test_a_document_that_is_empty_or_too_short_gives_none(text):
    assert {item.document for item in continuations([Document("", text), letters("a")], 10, 4, 2, seed=0)} == {1}


def test_no_documents_give_no_continuations():
    assert continuations([], 10, 4, 2, seed=0) == []


def test_a_count_of_zero_gives_no_continuations():
    assert continuations([letters("a")], 0, 4, 2, seed=0) == []


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
def test_sizes_below_one_word_are_refused(before, after):
    with pytest.raises(ValueError, match="words"):
        continuations([letters("a")], 1, before, after, seed=0)
