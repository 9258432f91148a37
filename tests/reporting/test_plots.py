"""All plots of a run: what is drawn, and that every plot is fit to stand anywhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from builders import make_subject, make_task
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.language.say import speaking
from harness.records.record import Fact, Record
from harness.records.rows import make_rows
from harness.reporting.plots.gallery import plots
from harness.reporting.plots.theme import Plot

SVG = "{http://www.w3.org/2000/svg}"
ROUNDS = (100.0, 101.0, 99.0, 102.0, 98.0, 103.0)
SWEEP = [{"batch_size": 1, "prompt_tokens": length, "prefill_tokens_per_second": length * 9.0} for length in (32, 512)]
HOSTILE = 'a|`b` $x_1$ <b>&"\'</b> 😀 style="fill: #010203" ]]>\n\x00\x1e\udc80 end'


def a_causal_variant(
    variant: str = "mini/torch/fp32/cpu", perplexity: float = 20.0, speed: float = 1.0, **about: Any
) -> list[Record]:
    """Records of a causal variant that was measured to its end, ``speed`` times as fast as another."""
    candidate, engine, precision, _ = variant.rsplit("/", 3)
    subject = replace(make_subject(), variant=variant, candidate=candidate, engine=engine, precision=precision, **about)
    scores = [
        Fact("weights_bytes", value=2e8 / speed),
        Fact("step_bytes", value=2e8 / speed),
        Fact("perplexity", perplexity, perplexity * 0.9, perplexity * 1.1),
        Fact("continuation_bits_per_byte", perplexity / 10, perplexity / 11, perplexity / 9),
    ]
    records = [
        *make_task("score", subject, *scores),
        *make_task("memory", subject, Fact("peak_memory_bytes", value=3e8)),
    ]
    for number, reading in enumerate(ROUNDS):
        records += make_task(
            "time",
            subject,
            Fact("prefill_tokens_per_second", value=reading * 9 * speed),
            Fact("decode_tokens_per_second", value=reading * speed),
            *(Fact(f"inter_token_seconds_p{share}", value=share / reading / 5e3 / speed) for share in (50, 95, 99)),
            Fact("sweep", n=2, samples=SWEEP),
            round=number,
        )
    return records


def a_training(candidate: str = "mini", family: str = "causal", teacher: str | None = None) -> list[Record]:
    """The records of a candidate that was trained."""
    subject = replace(make_subject(family=family), variant=candidate, candidate=candidate, engine="", precision="")
    curve = [{"tokens": 1000 * step, "loss": 6.0 - step / 5} for step in (1, 2, 3, 4)]
    steps = [{"step": step, "tokens": 10 * step, "loss": 7.0 - step / 200} for step in range(1, 400)]
    protocol = {"unigram_loss": 6.6, "teacher": teacher}
    return make_task(
        "candidate",
        subject,
        Fact("training_loss", n=399, samples=steps),
        Fact("validation_loss", value=5.2, n=4, samples=curve, protocol=protocol),
    )


def limits() -> list[Record]:
    subject = replace(make_subject(), variant="cpu", candidate="cpu", device="cpu")
    return make_task("limits", subject, Fact("read_bandwidth", value=2.5e10))


def drawn(records: Sequence[Record]) -> dict[str, Plot]:
    found = plots(records, make_rows(records))
    assert len({plot.name for plot in found}) == len(found)
    return {plot.name: plot for plot in found}


@pytest.fixture(scope="module")
def run() -> list[Record]:
    return [
        *a_training(),
        *a_causal_variant(),
        *a_causal_variant("mini/onnxruntime/int8/cpu", 22.0, 3.0),
        *a_causal_variant("other/onnxruntime/fp32/cpu", 30.0, 2.0),
        *limits(),
    ]


@pytest.fixture(scope="module")
def gallery(run: list[Record]) -> Mapping[str, Plot]:
    return drawn(run)


def words_of(plot: Plot) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(plot.svg).iter(f"{SVG}text")]


def hovers_of(plot: Plot) -> list[str]:
    root = ElementTree.fromstring(plot.svg)
    return [element.text or "" for parent in root for element in parent.iter(f"{SVG}title")][1:]


def test_a_run_is_drawn_in_the_order_of_its_report(gallery: Mapping[str, Plot]) -> None:
    assert list(gallery) == [
        "pareto-continuations",
        "pareto-causal",
        "prefill",
        "decode",
        "peak-memory",
        "weights",
        "inter-token-latency",
        "sweep-prefill-prompt",
        "decode-fraction-of-limit",
        "training-causal",
    ]


def test_nothing_is_drawn_of_nothing() -> None:
    assert plots([], []) == []


def test_every_plot_is_well_formed_and_tells_screen_readers_what_it_shows(gallery: Mapping[str, Plot]) -> None:
    for plot in gallery.values():
        root = ElementTree.fromstring(plot.svg)
        assert root.tag == f"{SVG}svg"
        assert root.get("role") == "img"
        assert root.get("aria-label") == plot.alt != ""
        assert root[0].tag == f"{SVG}title"
        assert root[0].text == plot.title


def test_plots_hold_no_script_and_refer_to_nothing_outside(gallery: Mapping[str, Plot]) -> None:
    for plot in gallery.values():
        assert "<script" not in plot.svg
        assert "DOCTYPE" not in plot.svg
        assert re.findall(r"https?://[^\"]*", plot.svg) == ["http://www.w3.org/2000/svg"]
        assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', plot.svg))


def test_ids_differ_between_plots_and_every_reference_is_met(gallery: Mapping[str, Plot]) -> None:
    page = "".join(plot.svg for plot in gallery.values())
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', page)) <= set(ids)


def test_style_rules_hold_inside_their_own_plot_only(gallery: Mapping[str, Plot]) -> None:
    for plot in gallery.values():
        sheet = plot.svg.split("<style>")[1].split("</style>")[0]
        selectors = re.findall(r"(?:^|[{}])([^{}@]+)\{", sheet.replace("@media (prefers-color-scheme:dark)", ""))
        assert selectors
        assert all(selector.startswith(f"#plot-{plot.name}") for selector in selectors)


def test_both_themes_have_an_opaque_background_and_no_placeholder_is_left(gallery: Mapping[str, Plot]) -> None:
    for plot in gallery.values():
        assert "#0102" not in plot.svg
        light, dark = plot.svg.split("</style>")[0].split("@media (prefers-color-scheme:dark)")
        paper = next(path.get("class") for path in ElementTree.fromstring(plot.svg).iter(f"{SVG}path"))
        assert f".{paper}{{fill:#ffffff}}" in light
        assert f".{paper}{{fill:#0d1117}}" in dark


def test_the_same_run_gives_the_same_bytes(run: list[Record], gallery: Mapping[str, Plot]) -> None:
    assert drawn(run) == gallery


def test_matplotlib_is_left_as_it_was(run: list[Record]) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 31, "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        assert "red" not in drawn(run)["decode"].svg
        assert dict(mpl.rcParams) == before


def test_plots_need_no_window_system() -> None:
    code = "import sys, harness.reporting.plots.gallery; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_points_and_bars_say_what_they_are_when_pointed_at(gallery: Mapping[str, Plot]) -> None:
    for name in ("pareto-causal", "decode", "inter-token-latency"):
        said = "\n".join(hovers_of(gallery[name]))
        assert "mini/onnxruntime/int8/cpu\n" in said, name
        assert "other/onnxruntime/fp32/cpu\n" in said, name
    assert "mini/torch/fp32/cpu\ndecode: 100.5 [98.0, 103.0] tokens/s" in hovers_of(gallery["decode"])


@pytest.mark.filterwarnings("error")
def test_a_hostile_name_is_shown_letter_by_letter() -> None:
    records = [
        *a_training(HOSTILE),
        *a_causal_variant(f"{HOSTILE}/torch/fp32/cpu"),
        *a_causal_variant(f"{HOSTILE}/onnxruntime/int8/cpu", 18.0, 2.0),
        *limits(),
    ]
    found = drawn(records)
    flat = 'a|`b` $x_1$ <b>&"\'</b> 😀 style="fill: #010203" ]]> end'
    for name in ("pareto-causal", "decode", "inter-token-latency", "training-causal"):
        assert any(said.startswith(flat) for said in hovers_of(found[name])), name
    assert any("$x_1$" in words for words in words_of(found["decode"]))


@settings(max_examples=8, deadline=None)
@given(st.text(max_size=60))
def test_any_name_gives_well_formed_plots(name: str) -> None:
    records = [
        *a_training(name),
        *a_causal_variant(f"{name}/torch/fp32/cpu"),
        *a_causal_variant("b/torch/fp32/cpu", 9.0),
    ]
    for plot in drawn(records).values():
        ElementTree.fromstring(plot.svg)


def test_variants_that_failed_are_not_drawn() -> None:
    bad = [replace(record, status="failed") for record in a_causal_variant("broken/torch/fp32/cpu")]
    for plot in drawn([*a_causal_variant(), *a_causal_variant("b/torch/fp32/cpu"), *bad]).values():
        assert "broken" not in plot.svg, plot.name


def test_numbers_are_written_as_the_language_does() -> None:
    records = [*a_causal_variant(speed=40.0), *a_causal_variant("b/torch/fp32/cpu", speed=20.0)]
    with speaking("fr"):
        words = words_of(drawn(records)["decode"])
    assert any("\u202f000" in word for word in words)


def test_readings_of_nothing_do_not_break_a_plot() -> None:
    records = [
        replace(record, fact=replace(record.fact, value=0.0, low=None, high=None))
        if record.fact is not None and record.fact.metric != "sweep"
        else record
        for record in a_causal_variant()
    ]
    assert "weights" in drawn(records)
