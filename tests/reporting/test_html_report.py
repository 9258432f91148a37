"""The HTML report as a file: what stands in it, how it is escaped, and what it may load. A browser's view of it is in
``test_html_in_browser.py``."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.language.markup import code, plain
from harness.language.say import speaking
from harness.reporting.document import Bullets, CodeBlock, Details, Heading, Paragraph
from harness.reporting.page.drawing import drawing
from harness.reporting.page.inline import inline, text_of
from harness.reporting.page.render import report_html, to_html
from harness.reporting.plots.theme import Plot
from harness.reporting.table import NOTHING, Cell, Column, Table

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><g><title>a mark</title><path d="M0 0"/></g></svg>'
VOID = {"meta", "link", "input", "br", "hr", "img"}
WORD = re.compile(r"\s+")


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and whether each was closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page_of(*blocks, title: str = "A report") -> str:
    return to_html(blocks, title, "en")


def test_every_kind_of_block_is_shown():
    text = page_of(
        Heading("Of *all* kinds", 1),
        Paragraph("Use **`a/b`**."),
        Bullets(("one", "two")),
        CodeBlock("a < b"),
        Details("Why & how", (Paragraph("folded"),)),
        Table(("variant", "speed"), (("`a`", "5"),)),
        Plot("bars", "Bars", "some bars", SVG),
    )
    assert '<h1 id="of-all-kinds">Of <em>all</em> kinds</h1>' in text
    assert "<p>Use <strong><code>a/b</code></strong>.</p>" in text
    assert re.search(r"<ul>\s*<li>one</li>\s*<li>two</li>\s*</ul>", text)
    assert "<pre><code>a &lt; b</code></pre>" in text
    assert re.search(r"<details>\s*<summary>Why &amp; how</summary>\s*<p>folded</p>\s*</details>", text)
    assert '<th scope="row"><code>a</code></th>' in text
    assert f'<figure class="plot" aria-label="Bars">{SVG}</figure>' in text


def test_the_report_of_a_run_is_well_formed_html(run):
    tags = Tags(report_html(run))
    assert tags.open == []
    assert len(tags.all("table")) > 5
    assert len(tags.all("svg")) > 1


def test_no_two_elements_share_an_id(run):
    ids = [str(about["id"]) for _, about in Tags(report_html(run)).found if "id" in about]
    assert sorted(ids) == sorted(set(ids))


def test_the_contents_link_to_headings_of_the_second_and_third_level(run):
    tags = Tags(report_html(run))
    links = [str(about["href"])[1:] for about in tags.all("a")]
    assert links == [str(about["id"]) for name, about in tags.found if name in ("h2", "h3")]


def test_headings_of_the_same_words_have_names_of_their_own():
    ids = [about["id"] for about in Tags(page_of(Heading("Speed"), Heading("Speed", 3), Heading("Speed-2"))).all("h3")]
    assert ids == ["speed-2"]
    assert 'id="speed-2-2"' in page_of(Heading("Speed"), Heading("Speed", 3), Heading("Speed-2"))


def test_only_our_own_script_may_run_and_nothing_may_be_loaded():
    text = page_of(Paragraph("x"))
    (policy,) = [each["content"] for each in Tags(text).all("meta") if each.get("http-equiv")]
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:" in policy


def test_nothing_in_the_page_has_an_address_elsewhere(run):
    addresses = [
        str(about[name])
        for tag, about in Tags(report_html(run)).found
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset")
        if name in about
    ]
    assert addresses
    assert [each for each in addresses if not each.startswith(("#", "data:"))] == []


def test_the_tab_is_named_after_the_report(run):
    assert "<title>All families</title>" in report_html(run)


def test_a_title_is_escaped():
    assert "<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>" in page_of(title="<script>alert(1)</script>")


def test_the_page_speaks_french(run):
    with speaking("fr"):
        text = report_html(run)
    assert '<html lang="fr">' in text
    assert "<summary>Sommaire</summary>" in text
    assert 'data-filter="Filtrer" data-counted="{shown} lignes sur {all}"' in text


def test_cells_carry_the_number_that_they_sort_by_and_whether_they_are_empty_or_best():
    cells = (Cell("1.5 k", 1500.0, best=True), Cell("skipped", empty=True), Cell("x", float("nan")), NOTHING,
             Cell("∞", float("inf")), Cell("−∞", float("-inf")), "text")  # fmt: skip
    text = page_of(Table(tuple("abcdefgh"), (("`v`", *cells),)))
    (line,) = re.findall('<tr><th scope="row">.*?</tr>', text, re.DOTALL)
    assert re.findall("<td[^>]*>.*?</td>", line) == [
        '<td data-value="1500.0" data-best><strong>1.5 k</strong></td>',
        "<td data-empty>skipped</td>",
        "<td>x</td>",
        "<td data-empty>–</td>",
        '<td data-value="Infinity">∞</td>',
        '<td data-value="-Infinity">−∞</td>',
        "<td>text</td>",
    ]


def test_headers_keep_unit_and_arrow_and_say_what_the_arrow_means():
    text = page_of(Table(("variant", Column("decode", "tokens/s", True), Column("load", "s", False)), ()))
    assert 'data-better="higher" title="higher is better">decode (tokens/s)\u00a0↑</th>' in text
    assert 'data-better="lower" title="lower is better">load (s)\u00a0↓</th>' in text


@pytest.mark.parametrize("link", ["[a](javascript:alert(1))", "[a](vbscript:x)", "[a](data:text/html,x)"])
def test_a_link_that_runs_something_stays_text(link):
    assert inline(link) == link


def test_a_picture_is_not_loaded():
    assert "<img" not in inline("![a](https://example.org/a.png)")


def test_html_in_inline_markdown_is_text():
    assert inline("a <b>&amp;</b>") == "a &lt;b&gt;&amp;&lt;/b&gt;"


@given(st.text())
def test_the_fast_way_for_plain_words_says_the_same_as_the_parser(text):
    assert inline(text) == MarkdownIt("commonmark", {"html": False}).disable(["image", "autolink"]).renderInline(text)


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(list("<>&`|*_[](){}$!\\~# "))))
def test_text_from_outside_is_shown_letter_by_letter_as_text_and_as_a_name(text):
    shown = WORD.sub(" ", text).strip()
    assert WORD.sub(" ", text_of(plain(text))) == shown
    assert WORD.sub(" ", text_of(code(text))).strip() == shown
    assert set(re.findall("<(/?[a-z]+)", inline(plain(text)) + inline(code(text)))) <= {"code", "/code"}


@pytest.mark.parametrize(
    ("inside", "what"),
    [
        ("<script>alert(1)</script>", "holds <script>"),
        ("<foreignObject/>", "holds <foreignObject>"),
        ('<path onload="alert(1)"/>', "holds the handler onload"),
        ('<use href="https://example.org/a.svg#a"/>', "refers to https"),
        ('<a href="javascript:alert(1)"/>', "refers to javascript"),
        ('<path style="fill:url(https://example.org/a)"/>', "loads"),
        ("<style>@import 'https://example.org/a.css'</style>", "style of a plot loads"),
    ],
)
def test_a_plot_that_would_run_or_load_something_is_refused(inside, what):
    with pytest.raises(ValueError, match=what):
        drawing(f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>')


def test_a_plot_may_refer_to_its_own_parts_and_loses_its_prologue():
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><use href="#a" style="fill:url( &quot;#b&quot;)"/></svg>'
    assert drawing(f'<?xml version="1.0"?>\n<!DOCTYPE svg>\n{svg}') == svg
