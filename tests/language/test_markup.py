from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.language.markup import code, plain

PARSER = MarkdownIt("commonmark")
LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30)
WORDS = st.lists(LETTERS, min_size=1, max_size=4).map(" ".join)


def rendered(text: str) -> str:
    return PARSER.renderInline(text)


@given(WORDS)
def test_text_from_outside_is_shown_letter_by_letter(text):
    assert html.unescape(rendered(plain(text))) == text
    assert "<" not in rendered(plain(text))


@given(WORDS)
def test_a_name_is_a_code_span_whatever_stands_in_it(name):
    shown = rendered(code(name))
    assert shown.startswith("<code>")
    assert html.unescape(shown.removeprefix("<code>").removesuffix("</code>")) == name


@pytest.mark.parametrize("text", ["**x**", "_x_", "`x`", "[x](http://y)", "<b>x</b>", "~~x~~", "a | b", "![x](y)"])
def test_markup_in_text_from_outside_is_none(text):
    assert html.unescape(rendered(plain(text))) == text


def test_lines_and_control_characters_do_not_get_through():
    assert plain("one\ntwo\x07\tthree") == "one two three"
    assert code("one\r\ntwo\x00") == "`one two`"


def test_spaces_that_do_not_break_stay():
    assert plain("1\u202f036 tokens") == "1\u202f036 tokens"


def test_an_empty_name_is_still_a_code_span():
    assert code("") == "` `"
