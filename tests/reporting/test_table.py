from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.reporting.table import Table, escape, without_empty_columns


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", "a\\|b"),
        ("<script>", "&lt;script&gt;"),
        ("AT&T", "AT&amp;T"),
        ("one\ntwo\r\n\tthree", "one two three"),
        ("  around  ", "around"),
        ("bell\x07 and \x01 more", "bell and  more"),
        ("café – 5 €", "café – 5 €"),
        ('"quoted"', '"quoted"'),
        ("`gpt/torch/fp32/cpu`", "`gpt/torch/fp32/cpu`"),
        ("", ""),
    ],
)
def test_text_stays_inside_its_cell(text, escaped):
    assert escape(text) == escaped


def test_a_table_is_a_github_table_with_names_to_the_left_and_numbers_to_the_right():
    table = Table(("variant", "decode"), (("a", "10.5"), ("long name", "9")))
    assert table.markdown().splitlines() == [
        "| variant   |   decode |",
        "|:----------|---------:|",
        "| a         |     10.5 |",
        "| long name |        9 |",
    ]


def test_numbers_are_printed_as_they_were_written():
    assert "1.50" in Table(("a", "b"), (("x", "1.50"), ("y", "1e3"))).markdown()
    assert "1e3" in Table(("a", "b"), (("x", "1.50"), ("y", "1e3"))).markdown()


def test_text_of_other_languages_stays_as_it_is():
    assert "Перплексия 困惑度" in Table(("Перплексия 困惑度",), (("naïve",),)).markdown()


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)
titles = texts.filter(str.split)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4), st.tuples(titles, titles))
def test_whatever_stands_in_a_cell_stays_in_it(parse, lines, headers):
    ((found_headers, found_lines),) = parse(Table(headers, tuple(lines)).markdown()).tables
    for found, written in zip([found_headers, *found_lines], [headers, *lines], strict=True):
        assert [html.unescape(cell) for cell in found] == [" ".join(cell.split()) for cell in written]


def test_columns_in_which_no_line_says_anything_are_left_out():
    table = without_empty_columns(["variant", "empty", "dash", "some"], [["a", "", "–", "1"], ["b", "–", "", "–"]])
    assert table.headers == ("variant", "some")
    assert table.lines == (("a", "1"), ("b", "–"))


def test_columns_to_the_left_stay_even_if_they_are_empty():
    table = without_empty_columns(["variant", "family", "x"], [["a", "", "–"]], left=2)
    assert (table.headers, table.lines, table.left) == (("variant", "family"), (("a", ""),), 2)
