"""The examples of docs/api.md, run in their order in one namespace."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "api.md"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> str:
    """The sessions of the document, each on the line that it stands on."""
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = [""] * len(text.splitlines())
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "fence" and token.info == "pycon" and token.map:
            first = token.map[0] + 1
            lines[first : first + token.content.count("\n")] = token.content.splitlines()
    return "\n".join(lines)


@pytest.mark.slow
def test_the_examples_give_what_the_document_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    test = doctest.DocTestParser().get_doctest(examples(), {}, DOCUMENT.name, str(DOCUMENT), 0)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert result.attempted > 20
    assert "".join(said) == ""
    assert (tmp_path / "rapport-plots").is_dir()
