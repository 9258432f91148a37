"""Text from outside is shown in reports letter by letter, and neither Markdown, HTML nor terminals obey it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from stored_runs import INFO, VARIANT, a_run, a_variant, failed

from harness.candidates.spec import CandidateSpec
from harness.corpora.corpus import Corpus, Document
from harness.records.record import Fact
from harness.reporting.markdown import report
from harness.reporting.model_card import model_card
from harness.reporting.page.render import report_html
from harness.training.card import model_card as card_of_training
from harness.training.curve import TrainingRun

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![pixel](https://evil.example/pixel.png)",
    "<https://evil.example>",
    "</code></pre><script>alert(1)</script>",
    "a | b\n\n# Heading\n\n<b>",
    "```\n</table><iframe src=//evil.example>",
    '" onmouseover="alert(1)',
    "{{ 7 * 7 }}{% raw %}",
    "<!-- harness:end name=x -->",
]
ALLOWED = {"script": 1}


class Seen(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attributes]


def hostile(text: str):
    """A run in which the text stands wherever a user, a library or a model may write."""
    suite = {
        **INFO["suite"],
        "title": text,
        "use_case": [
            {
                "title": text,
                "families": ["causal"],
                "objective": "decode_tokens_per_second",
                "tie_breakers": [],
                "limits": [],
                "weights": {},
            }
        ],
    }
    environment = {
        **INFO["environment"],
        "cpu": text,
        "governor": text,
        "system": text,
        "gpus": [text],
        "versions": {text: text},
    }
    info = {**INFO, "suite": suite, "environment": environment, "suite_name": text, "created": text, "command": text,
            "corpus": {"name": text, "note": text, "hash": text}}  # fmt: skip
    sample = Fact("text", text=text, protocol={"prompt": text})
    good = a_variant(rounds={"decode_tokens_per_second": (1.0, 2.0)}, quality=[sample], exact={"weights_bytes": 10.0})
    bad = [replace(record, reason=text, stderr_tail=text) for record in failed("other/torch/fp32/cpu", reason=text)]
    return a_run("run-1", good, bad, info=info)


@pytest.mark.parametrize("text", ATTACKS)
def test_the_html_page_has_no_tag_handler_or_address_of_theirs(text):
    seen = Seen(report_html(hostile(text)))
    assert seen.tags.count("script") == 1
    assert not {"iframe", "img", "object", "embed", "base", "form"} & {*seen.tags}
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert not [
        value for name, value in seen.attributes if name in ("href", "src") and not value.startswith(("#", "data:"))
    ]


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize(
    "write", [lambda run: report(run), lambda run: model_card(run, "mini")], ids=["report", "card"]
)
def test_markdown_shown_as_html_has_no_tag_link_or_picture_of_theirs(text, write):
    page = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .render(re.sub(r"\A---.*?\n---\n", "", write(hostile(text)), flags=re.S))
    )
    seen = Seen(page)
    assert not {"script", "iframe", "b"} & {*seen.tags}
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    addresses = [value for name, value in seen.attributes if name in ("href", "src")]
    assert not [value for value in addresses if "evil" in value or "script" in value]


@pytest.mark.parametrize("text", ATTACKS)
def test_the_card_of_a_trained_checkpoint_shows_it_too(text):
    spec = CandidateSpec.model_validate(
        {"origin": "trained", "family": "causal", "architecture": "gpt2", "title": text, "training": {"tokens": 10}}
    )
    validation = [{"tokens": 0, "loss": 2.0}, {"tokens": 10, "loss": 1.0}]
    steps = [{"step": 1, "tokens": 10, "loss": 1.0}]
    run = TrainingRun(5, 10, 10, "nothing", 3.0, steps=steps, validation=validation)
    card = card_of_training(
        spec, Corpus(text, {split: (Document("a", "b"),) for split in ("train", "validation", "test")}, note=text), run
    ).partition("\n---\n")[2]
    seen = Seen(MarkdownIt("commonmark", {"html": True}).render(card))
    assert not {"script", "iframe", "img", "b", "a"} & {*seen.tags}


def test_errors_cannot_move_the_cursor_of_a_terminal(tmp_path):
    name = "no\x1b[2Jsuch\x1b]0;title\x07 suite"
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--suite", name],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr
    assert "such" in done.stderr


def test_json_of_a_hostile_run_is_data(tmp_path):
    from harness.records.rows import make_rows
    from harness.reporting.exports import rows_json

    rows = json.loads(rows_json(make_rows(hostile(ATTACKS[0]).records())))
    assert {row["variant"] for row in rows} == {VARIANT, "other/torch/fp32/cpu"}
