from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from item_texts import documents, letters, normalised, seeds

from harness.corpora.corpus import Document
from harness.items.choices import KINDS, choices

counts = st.integers(0, 40)


def sentences_asked(text: str) -> set[str]:
    """All sentences that a text offers between a first and a last piece, which are not asked about."""
    return {item.good for item in choices([Document("", f"Cut off. {text} The rest")], 1000, seed=0)}


def choices_of(sentence: str, kind: str, elsewhere: str = "") -> set[str]:
    """What a kind of corruption makes of one sentence, over many seeds."""
    docs = [Document("one", f"Cut. {sentence} The rest"), Document("other", elsewhere)]
    found = (item for seed in range(200) for item in choices(docs, 1, seed))
    return {item.bad for item in found if item.kind == kind}


@given(documents, counts, seeds)
def test_good_is_a_sentence_of_its_normalised_document(docs, count, seed):
    for item in choices(docs, count, seed):
        assert f" {item.good} " in f" {normalised(docs[item.document])} "
        assert 6 <= len(item.good.split(" ")) <= 25
        assert item.good[0].isupper()
        assert item.good[-1] in ".?!"


@given(documents, counts, seeds)
def test_bad_is_never_good(docs, count, seed):
    assert all(item.bad != item.good for item in choices(docs, count, seed))


@given(documents, counts, seeds)
def test_first_and_last_word_stay(docs, count, seed):
    for item in choices(docs, count, seed):
        good, bad = item.good.split(" "), item.bad.split(" ")
        assert (good[0], good[-1]) == (bad[0], bad[-1])


@given(documents, counts, seeds)
def test_swap_and_reorder_keep_the_words(docs, count, seed):
    for item in choices(docs, count, seed):
        if item.kind != "replace":
            assert Counter(item.good.split(" ")) == Counter(item.bad.split(" "))


@given(documents, counts, seeds)
def test_swap_changes_two_alphabetic_neighbours(docs, count, seed):
    for item in choices(docs, count, seed):
        good, bad = item.good.split(" "), item.bad.split(" ")
        changed = [i for i in range(len(good)) if good[i] != bad[i]]
        if item.kind == "swap":
            assert len(changed) == 2
            assert changed[1] - changed[0] == 1
            assert all(good[i].isalpha() for i in changed)


@given(documents, counts, seeds)
def test_replace_puts_a_word_of_the_documents_for_a_long_word_with_the_same_initial_case(docs, count, seed):
    words = {word for document in docs for word in document.text.split() if word.isalpha()}
    for item in choices(docs, count, seed):
        if item.kind == "replace":
            pairs = zip(item.good.split(" "), item.bad.split(" "), strict=True)
            [(old, new)] = [(old, new) for old, new in pairs if old != new]
            assert old.isalpha()
            assert len(old) >= 4
            assert new in words
            assert new.casefold() != old.casefold()
            assert new[0].isupper() == old[0].isupper()


@given(documents, counts, seeds)
def test_kinds_are_equally_often(docs, count, seed):
    kinds = Counter(item.kind for item in choices(docs, count, seed))
    assert max(kinds[kind] for kind in KINDS) - min(kinds[kind] for kind in KINDS) <= 1


def test_each_document_gets_every_kind_even_where_three_divides_their_number():
    docs = [letters(name) for name in "abc"]
    kinds = {(item.document, item.kind) for item in choices(docs, 60, seed=0)}
    assert len(kinds) == 9


@given(documents, counts, seeds)
def test_no_choice_is_asked_twice_even_in_different_documents(docs, count, seed):
    found = [item.question for item in choices(docs, count, seed)]
    assert len(set(found)) == len(found) <= count


@given(documents, counts, seeds)
def test_the_same_arguments_give_the_same_choices(docs, count, seed):
    assert choices(docs, count, seed) == choices(docs, count, seed)


@given(documents, counts, counts, seeds)
def test_a_larger_count_adds_choices_at_the_end(docs, count, more, seed):
    assert choices(docs, count + more, seed)[:count] == choices(docs, count, seed)


def test_another_seed_gives_other_choices():
    docs = [letters("a")]
    assert choices(docs, 10, seed=0) != choices(docs, 10, seed=1)


@given(st.integers(0, 50), st.integers(1, 6), seeds)
def test_choices_are_dealt_evenly_and_the_first_documents_give_one_more(count, amount, seed):
    docs = [letters(chr(ord("a") + i), sentences=60) for i in range(amount)]
    dealt = Counter(item.document for item in choices(docs, count, seed))
    assert [dealt[i] for i in range(amount)] == [count // amount + (i < count % amount) for i in range(amount)]


@given(seeds)
def test_a_document_added_at_the_end_leaves_the_sentences_that_the_others_are_asked_about(seed):
    docs = [letters("a"), letters("b")]
    more = choices([*docs, letters("c")], 30, seed)
    assert [item.good for item in more if item.document < 2] == [item.good for item in choices(docs, 20, seed)]


@given(seeds)
def test_a_document_added_at_the_end_leaves_what_swap_and_reorder_make_of_a_sentence(seed):
    docs = [letters("a"), letters("b")]
    fewer, more = choices(docs, 20, seed), choices([*docs, letters("c")], 30, seed)
    made = {(item.good, item.kind): item.bad for item in fewer if item.kind != "replace"}
    again = {(item.good, item.kind): item.bad for item in more if item.kind != "replace"}
    assert all(again[key] == made[key] for key in made.keys() & again.keys())


def test_a_sentence_ends_where_a_capital_follows():
    text = "Is the old bridge closed today? We ask at 5 p.m. on every day! École is open to one and all."
    assert sentences_asked(text) == {
        "Is the old bridge closed today?",
        "We ask at 5 p.m. on every day!",
        "École is open to one and all.",
    }


def test_the_first_and_the_last_piece_are_not_asked_about():
    text = "The first of these is perhaps cut. The second of these is surely whole. The third of these is perhaps cut."
    found = choices([Document("", text)], 10, seed=0)
    assert {item.good for item in found} == {"The second of these is surely whole."}


@pytest.mark.parametrize(("words", "asked"), [(5, False), (6, True), (25, True), (26, False)])
def test_sentences_of_6_to_25_words_are_asked_about(words, asked):
    sentence = " ".join(["The", *(f"word{chr(ord('a') + i)}" for i in range(words - 2)), "end."])
    assert sentences_asked(sentence) == ({sentence} if asked else set())


def test_swap_leaves_out_words_that_are_equal_or_not_alphabetic():
    assert choices_of("We the The 5 bridge, road river end.", "swap") == {"We the The 5 bridge, river road end."}


def test_swap_is_impossible_without_two_different_neighbours():
    assert choices_of("We road 5 river 6 road end.", "swap") == set()


def test_replace_leaves_words_of_fewer_than_four_letters():
    assert choices_of("We ask for 5 big red yes.", "replace", "many more words") == set()


def test_replace_draws_from_the_words_of_other_documents():
    assert "We ask for 5 winter red yes." in choices_of("We ask for 5 roads red yes.", "replace", "winter")


def test_replace_draws_by_frequency():
    found = [
        item.bad.split()[4]
        for seed in range(600)
        for item in choices(
            [Document("", "Cut. I I 5 6 roads I yes. The rest"), Document("", "often " * 9 + "seldom")], 1, seed
        )
        if item.kind == "replace"
    ]
    often = [word for word in found if word in ("often", "seldom")]
    assert often.count("often") / len(often) == pytest.approx(0.9, abs=0.06)


def test_replace_is_impossible_where_there_is_no_other_word():
    docs = [Document("", "Roads. Roads ROADS roads 5 roads Roads roads. Roads")]
    assert "replace" not in {item.kind for seed in range(50) for item in choices(docs, 10, seed)}


def test_reorder_is_impossible_where_all_words_are_equal():
    assert choices_of("We road road road road end.", "reorder") == set()


def test_a_sentence_for_which_the_kind_is_impossible_is_passed_over_for_the_next():
    impossible = "We road road road road end."
    text = f"Cut. {impossible} The first possible one is here now. The second possible one is here too. The rest"
    found = choices([Document("", text)], 2, seed=0)
    assert len(found) == 2
    assert impossible not in {item.good for item in found}


@pytest.mark.parametrize("text", ["", " \n ", "Too short.", "no sentence in here " * 20])
def test_a_document_without_sentences_gives_none(text):
    assert {item.document for item in choices([Document("", text), letters("a")], 10, seed=0)} == {1}


def test_a_count_of_zero_gives_no_choices():
    assert choices([letters("a")], 0, seed=0) == []
