from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.errors import HarnessError
from harness.reporting.docs.markers import checksum, filled, find_blocks, laid_out

BEGIN = "<!-- harness:table name=a run=r -->\n"
END = "<!-- harness:end name=a -->\n"


def only(text: str):
    (block,) = find_blocks(text, "README.md")
    return block


def test_a_block_has_what_its_marker_asks_for_and_what_stands_between():
    block = only(f"# Title\n\n{BEGIN}some\ntext\n{END}more\n")
    assert (block.name, block.settings, block.line, block.body) == ("a", {"run": "r"}, 3, "some\ntext\n")


def test_values_may_be_quoted_and_markers_may_have_several_lines():
    text = '<!-- harness:table name="a"\n  rows=\'x y,"z\'\n\n  run="some run"\n-->\n<!--harness:end name=a-->'
    assert only(text).settings == {"rows": 'x y,"z', "run": "some run"}


@pytest.mark.parametrize(
    "around",
    ["```\n{}```\n", "~~~~ markdown\n{}~~~~\n", "   ```\n{}   ```\n", "> ```\n> {}> ```\n", "- ```\n  {}  ```\n"],
)
def test_markers_in_fenced_code_are_none(around: str):
    block = only(around.format("<!-- harness:table name=b run=r -->\n") + "\n" + BEGIN + END)
    assert block.name == "a"


@pytest.mark.parametrize(
    "text",
    [
        "    <!-- harness:table name=b -->\n",
        "\t<!-- harness:table name=b -->\n",
        "- item\n\n      <!-- harness:table name=b -->\n",
        "Write `<!-- harness:table name=b -->` there.\n",
        "Write ``a ` <!-- harness:end --> `` there.\n",
        "# `<!-- harness:table name=b -->`\n",
        "| `<!-- harness:table name=b -->` |\n|---|\n",
        "A \\<!-- harness:table name=b --> there.\n",
        "&lt;!-- harness:table name=b -->\n",
        "<!-- other:table name=b -->\n",
        "<!-- harness -->\n",
    ],
)
def test_markers_in_indented_or_inline_code_or_escaped_are_none(text: str):
    assert only(f"{text}\n{BEGIN}{END}\n{text}").name == "a"


def test_the_page_that_explains_markers_has_none():
    text = (Path(__file__).parents[2] / "docs" / "docs-tables.md").read_text(encoding="utf-8")
    assert BEGIN[:18] in text
    assert find_blocks(text, "docs-tables.md") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BEGIN, "README.md:1: table 'a' has no end; expected <!-- harness:end name=a -->"),
        (f"x\n\n{END}", "README.md:3: table 'a' ends without having begun"),
        (END + BEGIN, "README.md:1: table 'a' ends without having begun"),
        (BEGIN + END + END, "README.md:3: table 'a' ends without having begun"),
        (BEGIN + END + BEGIN + END, "README.md:3: there is a table 'a' already, on line 1"),
        (BEGIN + BEGIN + END + END, "README.md:2: table 'a' begins inside table 'a' of line 1"),
        (
            BEGIN + "<!-- harness:table name=b -->\n<!-- harness:end name=b -->\n" + END,
            "README.md:2: table 'b' begins inside table 'a' of line 1",
        ),
        (BEGIN + "<!-- harness:end name=b -->", "README.md:2: table 'b' ends inside table 'a' of line 1"),
        (BEGIN + "```\n" + END, "README.md:1: table 'a' has no end"),
        ("> " + BEGIN, "README.md:1: a marker stands at the top level"),
        ("- x\n\n  " + BEGIN, "README.md:3: a marker stands at the top level"),
        ("some text " + BEGIN, "README.md:1: a marker stands alone on its line, not in a paragraph"),
        ("two\nlines " + BEGIN, "README.md:2: a marker stands alone on its line, not in a paragraph"),
        ("# heading " + BEGIN, "README.md:1: a marker stands alone on its line, not in a paragraph"),
        ("<!-- harness:table name=a --> and more\n", "README.md:1: a marker stands alone on its lines"),
        ("<!-- x --> <!-- harness:table name=a -->\n", "README.md:1: a marker stands alone on its lines"),
        ("<details>\n" + BEGIN, "README.md:2: a marker stands alone on its lines, with no other HTML right before it"),
        ("<!--\n" + BEGIN, "README.md:2: a marker stands alone on its lines"),
        ("<!-- harness:table name=a\n\ntext\n", "README.md:1: a marker stands alone on its lines"),
        ("<!-- harness:tabel name=a -->\n", "README.md:1: unknown marker 'harness:tabel' (did you mean 'table'?)"),
        ("<!-- harness: table name=a -->\n", "README.md:1: unknown marker 'harness:' (known: end, table)"),
        ("<!-- harness:table run=r -->\n", "README.md:1: harness:table has no name; expected name=some-name"),
        ("<!-- harness:end -->\n", "README.md:1: harness:end has no name"),
        ("<!-- harness:table name=../a -->\n", "README.md:1: '../a' is no name for a table: letters, digits"),
        ("<!-- harness:table name=a name=a -->\n", "README.md:1: 'name' is given twice"),
        ("<!-- harness:table name=a columns = b -->\n", "README.md:1: cannot read 'columns = b'; expected key=value"),
        ('<!-- harness:table name=a rows="x -->\n', "README.md:1: cannot read 'rows=\"x'; expected key=value"),
        ('<!-- harness:table name=a rows="x\ny" -->\n', "README.md:1: the value of 'rows' has a line break"),
        ("<!-- harness:end name=a run=r -->\n", "README.md:1: harness:end takes name and sha256, not 'run'"),
        ("> " * 200 + "x\n\n" + BEGIN + END, "README.md: lists or quotes are nested too deeply"),
    ],
)
def test_markers_that_are_wrong_are_refused_by_file_and_line(text: str, message: str):
    with pytest.raises(HarnessError) as caught:
        find_blocks(text, "README.md")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_block_is_filled_and_its_end_marker_says_of_what():
    text = filled(f"x\n{BEGIN}{END}y", find_blocks(f"x\n{BEGIN}{END}y", ""), {"a": "| t |"})
    assert text == f"x\n{BEGIN}\n| t |\n\n<!-- harness:end name=a sha256={checksum(laid_out('| t |'))} -->\ny"


def test_a_checksum_that_stands_there_is_replaced_where_it_stands():
    text = f'{BEGIN}old\n  <!--  harness:end   sha256="0"  name=a-->  \n'
    made = filled(text, find_blocks(text, ""), {"a": "new"})
    assert made == f"{BEGIN}\nnew\n\n  <!--  harness:end   sha256={checksum(laid_out('new'))}  name=a-->  \n"


def test_a_block_that_no_content_is_given_for_stays():
    text = BEGIN + "old\n" + END
    assert filled(text, find_blocks(text, ""), {}) == text


@pytest.mark.parametrize(("newline", "body"), [("\n", "\nx\ny\n\n"), ("\r\n", "\r\nx\r\ny\r\n\r\n")])
def test_lines_end_as_those_of_the_first_marker(newline: str, body: str):
    text = (BEGIN + END).replace("\n", newline)
    made = filled(text, find_blocks(text, ""), {"a": "x\ny"})
    assert only(made).body == body


def test_a_block_was_edited_by_hand_if_it_does_not_fit_its_checksum():
    text = filled(BEGIN + END, find_blocks(BEGIN + END, ""), {"a": "some table"})
    assert not only(text).by_hand
    assert only(text.replace("some", "same")).by_hand
    assert only(text.replace("some table", "some table ")).by_hand
    assert only(text.replace("sha256=", "sha256=0")).by_hand


def test_a_checksum_holds_however_lines_end():
    text = filled(BEGIN + END, find_blocks(BEGIN + END, ""), {"a": "some\ntable"})
    assert not only(text.replace("\n", "\r\n")).by_hand


def test_a_block_without_a_checksum_was_edited_by_hand_unless_it_is_empty():
    assert not only(BEGIN + "\n  \n" + END).by_hand
    assert only(BEGIN + "mine\n" + END).by_hand


FRAGMENTS = [
    "<!-- harness:table name=a run=r -->", "<!-- harness:end name=a -->", "<!-- harness:table name=b -->",
    "<!-- harness:end name=b sha256=0123456789abcdef -->", "<!-- harness:end name=c sha256=0 -->", "<!--", "-->",
    "<!-- harness:table name=c\n rows='x' -->", "harness:table", " name=a", "```", "~~~", "    ", "\t", "> ", "- ",
    "1. ", "`", "\n", "\n\n", "\r\n", "\r", "\f", "\v", "\u2028", "\0", "\ufeff", "<div>", "<pre>", "</pre>", "| a |",
    "[a]: <b", "# ", "---", "\\", "é", "\U0001f600",
]  # fmt: skip
fragments = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), max_size=25).map("".join)
newlines = st.sampled_from(["\n", "\r\n", "\r"])
contents = st.text("abc| *\n", max_size=40)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Blocks of different names with any text in and between them."""
    parts = [draw(fragments)]
    for name in draw(st.permutations("abcd"))[: draw(st.integers(1, 4))]:
        newline = draw(newlines)
        closing = draw(st.sampled_from(["", " sha256=0", " sha256='0123456789abcdef'"]))
        begin, end = f"<!-- harness:table name={name} -->", f"<!-- harness:end name={name}{closing} -->"
        parts += [newline * 2, begin, newline, draw(contents), newline, end, draw(newlines), draw(fragments)]
    return "".join(parts)


def outside(text: str) -> list[str]:
    """What stands between blocks, with the end markers but not their checksums."""
    parts, done = [], 0
    for block in find_blocks(text, ""):
        given = block.checksum is None
        parts += [text[done : block.start], text[block.end : block.checksum_start] + (" sha256=" if given else "")]
        done = block.checksum_end
    return [*parts, text[done:]]


@given(fragments | documents())
@settings(max_examples=400)
def test_no_text_is_answered_by_anything_but_blocks_or_a_line(text: str):
    blocks, line = [], "x.md: nothing is wrong"
    try:
        blocks = find_blocks(text, "x.md")
    except HarnessError as error:
        line = str(error)
    assert line.startswith("x.md:")
    assert len(line.splitlines()) == 1
    assert all(text[block.start : block.end] == block.body for block in blocks)


@given(documents(), st.data())
@settings(max_examples=400)
def test_what_stands_outside_of_blocks_never_changes(text: str, data: st.DataObject):
    try:
        blocks = find_blocks(text, "x.md")
    except HarnessError:
        return
    new = {block.name: data.draw(contents) for block in blocks}
    made = filled(text, blocks, new)
    assert outside(made) == outside(text)
    again = find_blocks(made, "x.md")
    assert all(block.holds(new[block.name]) and not block.by_hand for block in again)
    assert filled(made, again, new) == made


@given(st.lists(st.sampled_from(["a", "\n", "\r", "\r\n", "\f", "\u2028", "\x85", "# ", "\0"]), max_size=12))
def test_lines_are_counted_as_the_parser_counts_them(parts: list[str]):
    text = "".join(parts) + "\n\n" + BEGIN + END
    (token,) = [each for each in MarkdownIt("commonmark").parse(text) if "harness:table" in each.content]
    assert token.map is not None
    assert only(text).line == token.map[0] + 1
