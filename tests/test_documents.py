"""The project's own documents: Markdown that a linter passes, links that lead somewhere, tables that are fresh."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from pymarkdown.api import PyMarkdownApi
from typer.testing import CliRunner

from harness.cli import app
from harness.reporting.docs.markers import find_blocks

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("reports/*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def linter() -> PyMarkdownApi:
    """Long lines (MD013) and folded details, which are HTML (MD033), are wanted."""
    api = PyMarkdownApi()
    for rule in ("md013", "md033"):
        api.disable_rule_by_identifier(rule)
    return api


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_a_markdown_linter_has_nothing_to_say(document):
    found = linter().scan_path(str(document))
    assert [f"{each.line_number}: {each.rule_id} {each.rule_description}" for each in found.scan_failures] == []
    assert not found.pragma_errors


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_and_pictures_lead_to_files(document):
    tokens = MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))
    inline = [child for token in tokens for child in token.children or ()]
    targets = [str(token.attrGet("href") or token.attrGet("src") or "") for token in inline]
    local = {target.split("#")[0] for target in targets if target and not re.match(r"\w+:|#", target)}
    assert [target for target in sorted(local) if not (document.parent / target).exists()] == []


def test_tables_between_markers_are_as_harness_docs_would_make_them():
    """README's, and those of all other documents that have markers."""
    kept = [path for path in DOCUMENTS if find_blocks(path.read_text(encoding="utf-8"), str(path))]
    assert ROOT / "README.md" in kept
    done = CliRunner().invoke(app, ["docs", "--check", *map(str, kept)])
    assert (done.exit_code, done.stdout) == (0, "")
