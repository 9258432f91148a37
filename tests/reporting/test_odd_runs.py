"""Reports of runs that lack something, or whose names are strange: well-formed, and they say what is missing."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace

import pytest
from builders import make_subject, make_task, quality_fact
from pymarkdown.api import PyMarkdownApi
from stored_runs import INFO, NATS, QUIET, VARIANT, HandMade, a_run, a_variant, failed, perplexity, times

from harness.language.say import LANGUAGES, speaking
from harness.records.record import Fact
from harness.reporting.document import plots_of
from harness.reporting.markdown import report
from harness.reporting.page.render import report_html
from harness.reporting.report import report_blocks

SPEED = {"decode_tokens_per_second": QUIET, "prefill_tokens_per_second": times(QUIET, 9)}
STRANGE = [
    "a|b",
    "back`tick``s`",
    "<script>alert(1)</script>",
    "new\nline",
    "emoji 🦙 family 👩‍👩‍👧",
    "$x^2$ \\frac",
    "](javascript:alert(1))",
    "**bold** _it_ ~~no~~",
    "&amp; &lt; AT&T",
    "Ünïcödé 模型",
]
USE_CASE = {
    "title": "Generation",
    "families": ["causal"],
    "objective": "bits_per_byte",
    "tie_breakers": ["decode_tokens_per_second"],
    "limits": ["peak_memory_bytes <= 1 GiB"],
}
WITH_USE_CASE = {**INFO, "suite": {**INFO["suite"], "use_case": [USE_CASE]}}


def lint(text: str) -> list[str]:
    """What a Markdown linter says, but for long lines (MD013) and folded details, which are HTML (MD033)."""
    api = PyMarkdownApi()
    for rule in ("md013", "md033"):
        api.disable_rule_by_identifier(rule)
    return [f"{each.line_number}: {each.rule_id}" for each in api.scan_string(text).scan_failures]


def quality() -> list[Fact]:
    return [perplexity(), quality_fact("bits_per_byte", NATS)]


ODD: dict[str, Callable[[], HandMade]] = {
    "nothing measured": lambda: a_run("r", info=WITH_USE_CASE),
    "without speed": lambda: a_run("r", a_variant(quality=quality(), memory=2.0**20), info=WITH_USE_CASE),
    "without quality": lambda: a_run("r", a_variant(rounds=SPEED, memory=2.0**20), info=WITH_USE_CASE),
    "one row": lambda: a_run("r", a_variant(rounds=SPEED, quality=quality(), memory=2.0**20), info=WITH_USE_CASE),
    "all rows failed": lambda: a_run("r", failed("a/torch/fp32/cpu"), failed("b/torch/fp32/cpu"), info=WITH_USE_CASE),
    "an empty run.json": lambda: a_run("r", a_variant(rounds=SPEED, quality=quality()), info={}),
    "suite of before there were items": lambda: a_run(
        "r", a_variant(quality=quality()), info={"suite_name": "old", "suite": {"title": "old"}, "environment": {}}
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ODD)
def test_a_run_that_lacks_something_has_a_well_formed_report(kind, language, parse):
    with speaking(language):
        text = report(ODD[kind]())
    assert lint(text) == []
    assert parse(text).headings


@pytest.mark.parametrize("kind", ODD)
def test_its_plots_and_its_page_are_well_formed_too(kind):
    for plot in plots_of(report_blocks(ODD[kind]())):
        ElementTree.fromstring(plot.svg)
    assert report_html(ODD[kind]()).rstrip().endswith("</html>")


def test_a_run_without_a_record_says_so():
    assert "Nothing has been measured yet." in report(ODD["nothing measured"]())


@pytest.mark.parametrize("kind", ["without speed", "without quality", "all rows failed"])
def test_a_recommendation_says_what_was_not_measured(kind):
    text = report(ODD[kind]())
    (paragraph,) = [line for line in text.splitlines() if line.startswith("**Generation.**")]
    assert "not measured" in paragraph or "No recommendation" in paragraph


def test_where_all_rows_failed_each_says_why(parse):
    headers, lines = parse(report(ODD["all rows failed"]())).table_with("reason")
    assert headers == ["variant", "status", "reason"]
    assert [line[1:] for line in lines] == [["failed", "no kernel"]] * 2


@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_stay_text(name, parse):
    """As the name of a candidate, of the suite, of a use case, and as a reason and a sample text."""
    subject = replace(make_subject(VARIANT), variant=f"{name}/torch/fp32/cpu", candidate=name)
    sample = Fact("text", text=name, protocol={"prompt": name})
    good = a_variant(
        subject.variant, {"weights_bytes": 5.0}, SPEED, [*quality(), sample], memory=2.0**20, about=subject
    )
    bad_subject = replace(subject, variant=f"{name}/torch/int8/cpu", precision="int8")
    bad = make_task("variant", bad_subject, status="failed", reason=name)
    suite = {**WITH_USE_CASE["suite"], "title": name, "use_case": [{**USE_CASE, "title": name}]}
    run = a_run("r", good, bad, info={**WITH_USE_CASE, "suite": suite, "suite_name": name})
    text = report(run)
    page = report_html(run)
    assert lint(text) == []
    found = parse(text)
    assert [tag for tag in found.html if "<details>" not in tag and "</details>" not in tag] == []
    assert len({len(line) for _, lines in found.tables for line in lines if lines} & {0}) == 0
    for headers, lines in found.tables:
        assert {len(line) for line in lines} <= {len(headers)}
    assert "<script>alert" not in page
    assert 'href="javascript' not in page
    for plot in plots_of(report_blocks(run)):
        ElementTree.fromstring(plot.svg)
        assert "<script" not in plot.svg
