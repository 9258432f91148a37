"""The HTML report as a reader has it: in a real browser, opened from disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Browser, open_browser
from builders import item_fact, make_subject, quality_fact
from stored_runs import NATS, QUIET, a_run, a_variant, perplexity

from harness.language.say import speaking
from harness.reporting.document import Details, Heading, Paragraph
from harness.reporting.page.render import report_html, to_html
from harness.reporting.table import NOTHING, Cell, Column, Table

SPEEDS = {"alpha": 90.0, "beta": None, "gamma": 1000.0, "delta": 8.0, "Épsilon": None, "zeta": 70.5, "eta": 300.0}
HEADERS = ("variant", Column("decode", "tokens/s", True), Column("load", "s", False), "note")
STRANGE = "a|b `tick` <script>document.title='ran'</script> new\nline 🦙 $x$ ](javascript:alert(1)) &lt; **no**"
SEEN = "a|b `tick` <script>document.title='ran'</script> new line 🦙 $x$ ](javascript:alert(1)) &lt; **no**"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def page() -> str:
    """The report of a run of three variants, with all plots that it has."""
    variants = []
    for factor, way in enumerate(("torch/fp32", "onnxruntime/fp32", "onnxruntime/int8"), 1):
        speeds = ("prefill", "decode")
        rounds = {f"{name}_tokens_per_second": [each * factor for each in QUIET] for name in speeds}
        facts = [perplexity(), quality_fact("bits_per_byte", NATS), item_fact("continuation_bits_per_byte", NATS)]
        sizes = {"weights_bytes": 1e6 / factor, "parameters": 2.5e5}
        variants.append(a_variant(f"mini/{way}/cpu", sizes, rounds, facts, memory=2e6 / factor))
    return report_html(a_run("r", *variants))


@pytest.fixture
def table(browser: Browser, tmp_path: Path) -> Browser:
    """A page with one table: a column in which more is better, its reverse, and words; two lines have no number."""
    lines = []
    for number, (name, speed) in enumerate(SPEEDS.items()):
        nothing = Cell("failed" if name == "beta" else NOTHING, empty=True)
        decode = nothing if speed is None else Cell(f"{speed:,.1f}", speed, best=name == "gamma")
        load = nothing if speed is None else Cell(f"{speed * 10:,.0f}", -speed)
        lines.append((f"`{name}`", decode, load, NOTHING if number == 0 else f"note {12 - number} 1\u202f036"))
    folded = Details("More", (Paragraph("folded away"),))
    browser.show(to_html([Heading("Speed"), Table(HEADERS, tuple(lines)), folded], "Speed", "en"), tmp_path)
    return browser


def names(browser: Browser) -> list[str]:
    return browser.texts("tbody th")


def click(browser: Browser, header: int, times: int = 1) -> None:
    for _ in range(times):
        browser.all("thead button")[header].click()


def test_a_column_sorts_by_its_numbers_the_best_first_and_what_has_none_last(table):
    click(table, 1)
    assert names(table) == ["gamma", "eta", "alpha", "zeta", "delta", "beta", "Épsilon"]


def test_a_second_click_reverses_and_what_has_no_number_stays_last(table):
    click(table, 1, times=2)
    assert names(table) == ["delta", "zeta", "alpha", "eta", "gamma", "beta", "Épsilon"]


def test_a_third_click_restores_the_order_of_the_report(table):
    click(table, 1, times=3)
    assert names(table) == list(SPEEDS)


def test_a_column_in_which_less_is_better_begins_with_the_least(table):
    click(table, 2)
    assert names(table)[0] == "gamma"


def test_words_sort_as_a_reader_would_letters_with_accents_and_numbers_in_them(table):
    click(table, 0)
    assert names(table) == ["alpha", "beta", "delta", "Épsilon", "eta", "gamma", "zeta"]
    click(table, 3)
    assert [each[:7] for each in table.texts("tbody td:last-child")][:3] == ["note 6 ", "note 7 ", "note 8 "]
    assert names(table)[-1] == "alpha"


def test_headers_are_buttons_that_keys_press_and_say_how_their_column_is_sorted(table):
    table.all("thead button")[1].send_keys(" ")
    assert [each.get_attribute("aria-sort") for each in table.all("thead th")] == [None, "descending", None, None]
    table.all("thead button")[2].send_keys("\n")
    assert [each.get_attribute("aria-sort") for each in table.all("thead th")] == [None, None, "ascending", None]


def test_headers_keep_their_units_and_arrows(table):
    assert table.texts("thead button") == ["variant", "decode (tokens/s) ↑", "load (s) ↓", "note"]


def test_the_filter_keeps_lines_that_hold_every_word_and_counts_them(table):
    (field,) = table.all("input[type=search]")
    assert table.texts(".tools output") == ["7 of 7 lines"]
    field.send_keys("NOTE ta")
    assert names(table) == ["beta", "delta", "zeta", "eta"]
    assert table.texts(".tools output") == ["4 of 7 lines"]
    field.send_keys(" 11")
    assert names(table) == ["beta"]
    field.clear()
    field.send_keys("1 036")
    assert len(names(table)) == 6


def test_a_filter_and_an_order_hold_together(table):
    table.all("input[type=search]")[0].send_keys("ta")
    click(table, 1)
    assert names(table) == ["eta", "zeta", "delta", "beta"]


def test_a_word_does_not_match_across_two_cells(table):
    table.all("input[type=search]")[0].send_keys("alpha90")
    assert names(table) == []


def test_a_short_table_has_no_filter(browser, tmp_path):
    browser.show(to_html([Table(("variant",), (("a",), ("b",)))], "Short", "en"), tmp_path)
    assert browser.all("input") == []
    assert browser.texts("tbody th") == ["a", "b"]


def test_the_best_of_a_column_is_told_by_its_weight(table):
    weights = [table.run("return getComputedStyle(arguments[0]).fontWeight", each) for each in table.all("td *")]
    assert [int(weight) >= 600 for weight in weights] == [True]


def test_a_dark_page_is_dark_and_a_light_one_light(table):
    def brightness(name: str) -> float:
        colour = table.run(f"return getComputedStyle(document.body).{name}")
        return sum(float(each) for each in re.findall(r"[\d.]+", colour)[:3]) / 3

    assert brightness("backgroundColor") > 230
    assert brightness("color") < 60
    table.like(dark=True)
    assert brightness("backgroundColor") < 40
    assert brightness("color") > 200


def test_the_plots_of_a_run_follow_the_page_into_the_dark(browser, page, tmp_path):
    browser.show(page, tmp_path)
    script = "return getComputedStyle(document.querySelector('.plot text')).fill"
    light = browser.run(script)
    browser.like(dark=True)
    assert browser.run(script) != light


def test_a_phone_shows_the_page_without_scrolling_it_sideways(browser, page, tmp_path):
    browser.show(page, tmp_path, width=400)
    assert browser.run("return document.documentElement.scrollWidth") <= 400
    assert browser.run("return document.querySelector('nav details').open") is False


def test_the_first_column_stays_in_sight_when_a_table_scrolls_in_its_box(browser, page, tmp_path):
    browser.show(page, tmp_path, width=400)
    box = browser.run(
        "return [...document.querySelectorAll('.scroll')].find((e) => e.scrollWidth > e.clientWidth + 99)"
    )
    browser.run("arguments[0].scrollLeft = 99", box)
    edges = browser.run(
        "return ['th', 'td'].map((cell) => arguments[0].querySelector('tbody ' + cell).getBoundingClientRect().left)",
        box,
    )
    assert edges[0] == pytest.approx(browser.run("return arguments[0].getBoundingClientRect().left", box), abs=2)
    assert edges[1] < edges[0] + browser.run("return arguments[0].querySelector('tbody th').offsetWidth", box) - 90


def point_at(browser: Browser, beside: int = 0) -> str:
    """Move the pointer onto the first small mark of a plot, or so many pixels off its edge; what the mark has to
    say."""
    mark = browser.run(
        "return [...document.querySelectorAll('.plot [data-tip]')].find((e) => e.getBoundingClientRect().width < 30)"
    )
    browser.run("arguments[0].scrollIntoView({ block: 'center' })", mark)
    browser.settle()
    browser.move_to(mark, beside and round(mark.rect["height"] / 2) + beside)
    return str(mark.get_attribute("data-tip"))


def test_pointing_at_a_mark_shows_what_it_says_at_once(browser, page, tmp_path):
    browser.show(page, tmp_path)
    assert browser.texts(".tip") == []
    said = point_at(browser)
    (tip,) = browser.texts(".tip")
    assert tip.split() == said.split()
    assert "mini/" in tip


def test_pointing_near_a_small_mark_is_enough(browser, page, tmp_path):
    browser.show(page, tmp_path)
    point_at(browser, beside=6)
    assert "mini/" in browser.texts(".tip")[0]


def test_leaving_a_plot_hides_what_was_shown(browser, page, tmp_path):
    browser.show(page, tmp_path)
    point_at(browser)
    browser.move_to(browser.all("nav summary")[0])
    assert browser.texts(".tip") == []


def test_the_arrow_keys_go_from_mark_to_mark(browser, page, tmp_path):
    browser.show(page, tmp_path)
    plot = browser.all(".plot svg")[0]
    marks = browser.run("return [...arguments[0].querySelectorAll('[data-tip]')].map((each) => each.dataset.tip)", plot)
    browser.run("arguments[0].scrollIntoView()", plot)
    browser.settle()  # scrolling hides what is shown
    plot.send_keys("\ue014")  # the arrow to the right
    assert browser.all(".tip")[0].text.split() == marks[1 % len(marks)].split()
    plot.send_keys("\ue00c")  # escape
    assert browser.texts(".tip") == []


def test_the_report_of_a_run_breaks_no_rule_and_asks_for_nothing(browser, page, tmp_path):
    browser.show(page, tmp_path)
    assert browser.all("thead button")
    assert browser.errors() == []
    asked = browser.requests()
    assert asked[0].endswith("/page.html")
    assert [each for each in asked if not each.startswith(("file:", "data:"))] == []
    assert len([each for each in asked if each.startswith("file:")]) == 1


def test_a_script_that_is_not_ours_does_not_run(browser, tmp_path):
    foreign = "<script>document.title = 'ran'</script></body>"
    browser.show(to_html([Paragraph("x")], "Quiet", "en").replace("</body>", foreign), tmp_path)
    assert browser.driver.title == "Quiet"
    assert "Content Security Policy" in "".join(browser.errors())


def test_strange_names_appear_as_text_in_tables_and_plots_and_run_nothing(browser, tmp_path):
    def measured(candidate: str, factor: float) -> list:
        about = replace(make_subject(), variant=f"{candidate}/torch/fp32/cpu", candidate=candidate)
        speed = {"decode_tokens_per_second": [each * factor for each in QUIET]}
        sizes = {"weights_bytes": 1e6 * factor}
        return a_variant(about.variant, sizes, speed, [perplexity()], memory=2e6 * factor, about=about)

    run = a_run(STRANGE, measured(STRANGE, 1.0), measured("plain", 2.0))
    browser.show(report_html(run), tmp_path)
    assert f"{SEEN}/torch/fp32/cpu" in browser.run(
        "return [...document.querySelectorAll('th')].map(e => e.textContent)"
    )
    tips = browser.run("return [...document.querySelectorAll('[data-tip]')].map((each) => each.dataset.tip)")
    assert [each for each in tips if "<script>" in each]
    assert len(browser.all("script")) == 1
    assert browser.driver.title != "ran"
    assert browser.errors() == []


def test_the_page_of_a_french_report_is_french_in_its_script_too(browser, run, tmp_path):
    with speaking("fr"):
        lines = tuple((f"`v{number}`", Cell(f"{number}", number)) for number in range(8))
        short = to_html([Table(("variante", "débit"), lines)], "Rapport", "fr")
        whole = report_html(run)
    browser.show(short, tmp_path)
    assert browser.run("return document.documentElement.lang") == "fr"
    assert browser.all("input")[0].get_attribute("placeholder") == "Filtrer"
    assert browser.texts(".tools output") == ["8 lignes sur 8"]
    browser.show(whole, tmp_path)
    assert browser.run("return document.documentElement.lang") == "fr"
    assert browser.texts("nav summary") == ["Sommaire"]


def test_printing_unfolds_what_is_folded_and_folds_it_again(table):
    is_open = "return document.querySelector('main details').open"
    assert table.run(is_open) is False
    assert table.run("dispatchEvent(new Event('beforeprint'));" + is_open) is True
    assert table.run("dispatchEvent(new Event('afterprint'));" + is_open) is False
