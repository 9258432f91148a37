"""Blocks of a report as Markdown, read again by a real parser."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.language.markup import code, plain
from harness.reporting.document import Bullets, CodeBlock, Details, Heading, Paragraph, markdown, plots_of
from harness.reporting.plots.theme import Plot
from harness.reporting.table import Cell, Column, Table

PLOT = Plot("pareto-cpu", "Speed and quality", "Decode against loss, a point a variant.", "<svg/>")
TABLE = Table(("variant", Column("decode", "tokens/s", True)), (("`a`", Cell("50.0", 50.0, best=True)),))


def rendered(text: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(text)


def letters(found: str) -> str:
    """What a reader sees of HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", found)).strip()


@pytest.mark.parametrize(("level", "tag"), [(1, "h1"), (2, "h2"), (4, "h4")])
def test_a_heading_has_its_level(level, tag):
    assert rendered(markdown([Heading(code("gpt"), level)], "")) == f"<{tag}><code>gpt</code></{tag}>\n"


def test_a_heading_is_one_of_a_section_unless_told_otherwise():
    assert markdown([Heading("Speed")], "") == "## Speed\n"


def test_a_paragraph_is_inline_markdown():
    assert rendered(markdown([Paragraph("Use **`gpt`**.")], "")) == (
        "<p>Use <strong><code>gpt</code></strong>.</p>\n"
    )  # fmt: skip


def test_bullets_are_a_list():
    assert rendered(markdown([Bullets(("one", "*two*"))], "")) == (
        "<ul>\n<li>one</li>\n<li><em>two</em></li>\n</ul>\n"
    )  # fmt: skip


def test_a_table_has_units_arrows_and_bold(parse):
    ((headers, lines),) = parse(markdown([TABLE], "")).tables
    assert (headers, lines) == (["variant", "decode (tokens/s)\u00a0↑"], [["`a`", "**50.0**"]])


def test_code_is_shown_as_it_is(parse):
    text = "harness run --set 'a=*b*' \\\n  <tag> && echo \"| x |\""
    assert parse(markdown([CodeBlock(text)], "")).code == [text + "\n"]


@given(st.lists(st.text("`ab \n", max_size=12), max_size=4).map("\n".join))
def test_backquotes_in_code_do_not_end_it(parse, text):
    found = parse(markdown([CodeBlock(text), Heading("After")], ""))
    assert found.code == [text + "\n"]
    assert found.headings == ["After"]


def test_details_fold_blocks_away_under_their_summary(parse):
    inside = (Heading("Inside", 3), TABLE, Paragraph("**bold**"))
    text = markdown([Details("a < b & c", inside), Paragraph("after")], "")
    found = parse(text)
    assert text.startswith("<details>\n<summary>a &lt; b &amp; c</summary>\n\n### Inside\n")
    assert found.html == []
    assert found.headings == ["Inside"]
    assert len(found.tables) == 1
    assert "<p><strong>bold</strong></p>\n</details>\n<p>after</p>" in rendered(text)


def test_details_can_stand_in_details(parse):
    text = markdown([Details("outer", (Details("inner", (CodeBlock("x"),)), Paragraph("between")))], "")
    assert text.count("</details>") == 2
    assert parse(text).code == ["x\n"]


def test_a_plot_is_an_image_in_the_folder_with_its_alternative_text(parse):
    assert parse(markdown([PLOT], "cpu-plots")).images == [("cpu-plots/pareto-cpu.svg", PLOT.alt)]


def test_a_folder_with_spaces_and_brackets_is_still_an_address(parse):
    ((address, _),) = parse(markdown([PLOT], "my run (1)-plots")).images
    assert address == "my%20run%20%281%29-plots/pareto-cpu.svg"


@pytest.mark.parametrize(
    ("alt", "shown"),
    [
        ("one\n\ntwo  three", "one two three"),
        ("a <b> & c", "a <b> & c"),
        ("list [1] of [2]", "list (1) of (2)"),
        ("back\\slash\\", "backslash"),
        ("](elsewhere)", ")(elsewhere)"),
    ],
)
def test_whatever_an_alternative_text_says_stays_in_it(alt, shown):
    found = rendered(markdown([Plot("p", "t", alt, "<svg/>")], "plots"))
    (said,) = re.findall(r'<p><img src="plots/p.svg" alt="([^"]*)" /></p>', found)
    assert html.unescape(said) == shown


def test_plots_are_found_in_details_too():
    other = Plot("bars", "t", "a", "<svg/>")
    assert plots_of([PLOT, Paragraph("x"), Details("s", (Details("t", (other,)),))]) == [PLOT, other]


def test_blocks_stand_apart_and_the_text_ends_in_one_newline(parse):
    text = markdown([Heading("One"), Paragraph("two"), TABLE, Bullets(("three",)), CodeBlock("four"), PLOT], "p")
    assert "\n\n\n" not in text
    assert text.endswith(")\n")
    found = parse(text)
    assert (found.headings, len(found.tables), found.code, len(found.images)) == (["One"], 1, ["four\n"], 1)


words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20).filter(lambda each: each.split())


@given(words)
def test_text_from_outside_is_read_letter_by_letter_in_every_block(text):
    told = plain(text)
    blocks = [Heading(f"Of {told} here"), Paragraph(f"Of {told}."), Bullets((f"Of {told}.",))]
    found = rendered(markdown(blocks, "")).splitlines()
    expected = text.split()
    assert letters(found[0]).split()[1:-1] == expected
    assert letters(found[1]).split() == ["Of", *expected[:-1], expected[-1] + "."]
    assert letters(found[3]).split() == ["Of", *expected[:-1], expected[-1] + "."]
