from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.language.markup import code, plain
from harness.reporting.table import Cell, Column, Table, without_empty_columns


def shown(cell: str) -> str:
    """What a reader sees of inline Markdown."""
    return html.unescape(re.sub(r"</?code>", "", MarkdownIt("commonmark").renderInline(cell)))


def test_a_table_is_a_github_table_with_names_to_the_left_and_numbers_to_the_right():
    table = Table(("variant", "decode"), (("a", "10.5"), ("long name", "9")))
    assert table.markdown().splitlines() == [
        "| variant   |   decode |",
        "|:----------|---------:|",
        "| a         |     10.5 |",
        "| long name |        9 |",
    ]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Column("decode", "tokens/s", True), "decode (tokens/s)\u00a0↑"),
        (Column("peak memory", "MiB", False), "peak memory (MiB)\u00a0↓"),
        (Column("perplexity", "", False), "perplexity\u00a0↓"),
        (Column("prompt", "tokens"), "prompt (tokens)"),
        (Column("verdict"), "verdict"),
    ],
)
def test_a_header_has_its_unit_and_an_arrow_to_where_it_is_better(column, text):
    assert Table((column,), (("x",),)).markdown().splitlines()[0].strip("| ") == text


def test_the_best_cell_is_bold():
    table = Table(("a", "b"), (("x", Cell("1.5", 1.5, best=True)), ("y", Cell("2.5", 2.5))))
    assert [line.split("|")[2].strip() for line in table.markdown().splitlines()[2:]] == ["**1.5**", "2.5"]


def test_numbers_are_printed_as_they_were_written():
    text = Table(("a", "b", "c"), (("x", "1.50", Cell("1e3", 1000.0)), ("y", "1,000", "0012"))).markdown()
    assert all(number in text for number in (" 1.50 ", " 1e3 ", " 1,000 ", " 0012 "))


def test_text_of_other_languages_stays_as_it_is():
    assert "Перплексия 困惑度" in Table(("Перплексия 困惑度",), (("naïve",),)).markdown()


def test_headers_are_words_and_no_markup(parse):
    table = Table(("a|b", Column("<i>*c*", "x|y", True)), (("1", "2"),))
    found = parse(table.markdown())
    assert found.html == []
    assert [shown(header) for header in found.tables[0][0]] == ["a|b", "<i>*c* (x|y)\u00a0↑"]


def test_cells_are_markdown_that_stays_inside_its_cell(parse):
    lines = (("**bold**", code("a|b")), (code("x\ny"), "one|two\nthree"))
    ((_, found),) = parse(Table(("a", "b"), lines).markdown()).tables
    assert found == [["**bold**", "`a|b`"], ["`x y`", "one|two three"]]


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)
titles = texts.filter(str.split)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4), st.tuples(titles, titles))
def test_whatever_is_told_in_a_cell_is_read_in_it(parse, lines, headers):
    ((found_headers, found_lines),) = parse(
        Table(headers, tuple(tuple(map(plain, line)) for line in lines)).markdown()
    ).tables
    for found, written in zip([found_headers, *found_lines], [headers, *lines], strict=True):
        assert [shown(cell).split() for cell in found] == [cell.split() for cell in written]


def test_columns_in_which_no_line_says_anything_are_left_out():
    table = without_empty_columns(["variant", "empty", "dash", "some"], [["a", "", "–", "1"], ["b", "–", "", "–"]])
    assert table.headers == ("variant", "some")
    assert table.lines == (("a", "1"), ("b", "–"))


def test_a_column_of_cells_that_only_say_why_there_is_no_value_is_left_out():
    why, value = Cell("not measured", empty=True), Cell("1", 1.0)
    table = without_empty_columns(["variant", Column("none"), Column("some")], [["a", why, why], ["b", why, value]])
    assert table.headers == ("variant", Column("some"))
    assert table.lines == (("a", why), ("b", value))


def test_columns_to_the_left_stay_even_if_they_are_empty():
    table = without_empty_columns(["variant", "family", "x"], [["a", "", "–"]], left=2)
    assert (table.headers, table.lines, table.left) == (("variant", "family"), (("a", ""),), 2)
