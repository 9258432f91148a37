"""The parts that plots are made of."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest
from builders import make_row, make_subject, make_task, single, timed
from hypothesis import given
from hypothesis import strategies as st

from harness.records.record import Fact, Record
from harness.records.rows import Row
from harness.reporting.plots.bars import bar_plots
from harness.reporting.plots.labels import spread
from harness.reporting.plots.latencies import latency_plots
from harness.reporting.plots.legend import Key, Sign, legend_lines
from harness.reporting.plots.limits import limit_plots
from harness.reporting.plots.sweeps import sweep_plots
from harness.reporting.plots.theme import COLOURS, SERIES, cropped, engine_colours, flat, look, new_figure, text_width
from harness.reporting.plots.ticks import linear_ticks, log_ticks
from harness.reporting.plots.training import averaged, training_plots

ROUNDS = (100.0, 101.0, 99.0, 102.0, 98.0, 103.0)


def ticks_of(low: float, high: float, unit: str, log: bool) -> tuple[list[str], str]:
    with look():
        _, axes = new_figure(5, 3)
        name = (log_ticks if log else linear_ticks)(axes, "x", low, high, unit)
        return [label.get_text() for label in axes.get_xticklabels()], name


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("side", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_the_background(side: int) -> None:
    ink, muted, _, paper = [colours[side] for colours in list(COLOURS.values())[:4]]
    assert contrast(ink, paper) >= 7
    assert contrast(muted, paper) >= 4.5


@pytest.mark.parametrize("side", [0, 1], ids=["light", "dark"])
def test_series_differ_from_one_another_and_from_the_background(side: int) -> None:
    colours = [COLOURS[each][side] for each in SERIES]
    assert len(set(colours)) == len(colours)
    assert all(contrast(colour, COLOURS["#010206"][side]) > 1.9 for colour in colours)


def test_an_engine_has_the_same_colour_whatever_else_is_drawn() -> None:
    assert engine_colours(["openvino"])["openvino"] == engine_colours(["torch", "x", "openvino"])["openvino"]


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    assert cropped("abcdefghij" * 3 + "/torch/fp32", 20) == "abcdefg…j/torch/fp32"


def test_a_name_loses_line_breaks_and_control_characters() -> None:
    assert flat("a\n b\x00\x1f\udc80c") == "a b c"


@pytest.mark.parametrize(
    ("low", "high", "unit", "log", "labels"),
    [
        (0, 1, "fraction", False, ["0", "20", "40", "60", "80", "100"]),
        (0, 300 * 2**20, "bytes", False, ["0", "50", "100", "150", "200", "250", "300"]),
        (1.0, 1.5, "", False, ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"]),
        (10, 10_000, "tokens/s", True, ["10", "100", "1,000", "10,000"]),
        (0.0001, 0.1, "s", True, ["0.1", "1", "10", "100"]),
        (8, 12, "tokens/s", True, ["8", "9", "10"]),
        (10.1, 10.6, "tokens/s", True, ["10.1", "10.2", "10.3", "10.4", "10.5", "10.6"]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, unit: str, log: bool, labels: list[str]) -> None:
    assert ticks_of(low, high, unit, log)[0] == labels


def test_an_axis_says_the_unit_of_its_ticks() -> None:
    assert ticks_of(0.0001, 0.1, "s", True)[1] == "ms"


@given(st.lists(st.floats(0, 200), min_size=1, max_size=12))
def test_labels_in_a_column_keep_their_order_and_their_distance(wanted: list[float]) -> None:
    places = spread(wanted, 10.0, 0.0, 200.0)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    ordered = [places[index] for index in order]
    assert all(after - before >= 10.0 - 1e-6 for before, after in itertools.pairwise(ordered))
    assert min(places) >= -1e-6
    assert max(places) <= 200.0 + 1e-6


def test_labels_that_have_room_stay_where_they_are_wanted() -> None:
    assert spread([50.0, 10.0], 10.0, 0.0, 100.0) == [50.0, 10.0]


@given(st.lists(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=6), min_size=1, max_size=4))
def test_a_legend_fits_its_width_and_shows_every_sign(names: list[list[str]]) -> None:
    keys = [Key("heading", tuple(Sign(name, marker="o") for name in group)) for group in names]
    lines = legend_lines(keys, 400.0)
    shown = [item.label for line in lines for _, item in line if isinstance(item, Sign)]
    assert shown == [name for group in names for name in group]
    for line in lines:
        left, last = line[-1]
        assert isinstance(last, Sign)
        assert left + last.drawn_width + text_width(last.label, 8) <= 400.0


def bar_rows(count: int) -> list[Row]:
    return [
        make_row(f"m{number}/torch/fp32/cpu", {"decode_tokens_per_second": timed([each + number for each in ROUNDS])})
        for number in range(count)
    ]


def test_of_many_bars_the_best_are_drawn_and_the_rest_is_counted() -> None:
    (plot,) = bar_plots(bar_rows(35))
    assert "The best 30 are drawn; left out: 5." in plot.svg
    assert "<title>m34/torch/fp32/cpu" in plot.svg
    assert "<title>m4/torch/fp32/cpu" not in plot.svg


def test_the_best_of_what_should_be_low_are_the_lowest() -> None:
    rows = [make_row(f"m{n}/torch/fp32/cpu", {"weights_bytes": single(1e6 * (n + 1))}) for n in range(35)]
    (plot,) = bar_plots(rows)
    assert "<title>m0/torch/fp32/cpu" in plot.svg
    assert "<title>m34/torch/fp32/cpu" not in plot.svg


def test_variants_of_a_candidate_stand_under_its_name() -> None:
    metrics = {"weights_bytes": single(1e6)}
    rows = [make_row(f"mini/torch/{precision}/cpu", metrics) for precision in ("fp32", "int8")]
    (plot,) = bar_plots(rows)
    assert re.findall(r">(mini|torch/fp32|torch/int8)</text>", plot.svg) == ["mini", "torch/fp32", "torch/int8"]


def test_devices_are_named_where_there_are_several() -> None:
    metrics = {"weights_bytes": single(1e6)}
    (plot,) = bar_plots([make_row(f"mini/torch/fp32/{device}", metrics) for device in ("cpu", "cuda")])
    assert ">torch/fp32/cuda</text>" in plot.svg


def test_the_limit_is_in_sight_even_where_all_are_far_below_it() -> None:
    (plot,) = limit_plots([make_row(metrics={"decode_fraction_of_limit": single(0.05)})])
    assert ">100</text>" in plot.svg
    assert ">5.0 %</text>" in plot.svg


def test_latencies_show_every_round_of_every_quantile() -> None:
    metrics = {f"latency_seconds_p{share}": timed([share / each for each in ROUNDS]) for share in (50, 95, 99)}
    (plot,) = latency_plots([make_row("b/torch/fp32/cpu", metrics, family="masked")])
    assert plot.name == "encode-latency"
    assert plot.svg.count("opacity:0.65") + plot.svg.count("opacity: 0.65") >= 3 * len(ROUNDS)


def training(candidate: str, family: str = "causal", **protocol: Any) -> list[Record]:
    subject = replace(make_subject(family=family), variant=candidate, candidate=candidate)
    curve = [{"tokens": 1000 * step, "loss": 6.0 - step / 5} for step in (1, 2, 3)]
    steps = Fact("training_loss", n=3, samples=[{"tokens": 10 * n, "loss": 7.0} for n in (1, 2, 3)])
    return make_task("candidate", subject, steps, Fact("validation_loss", value=5.0, samples=curve, protocol=protocol))


def test_losses_of_different_families_share_no_axes() -> None:
    found = training_plots([*training("a"), *training("b", "masked")])
    assert [plot.name for plot in found] == ["training-causal", "training-masked"]
    assert ">b</text>" not in found[0].svg


def test_the_loss_of_word_frequencies_is_drawn_where_it_is_known() -> None:
    words = ">word frequencies alone</text>"
    assert words in training_plots(training("a", unigram_loss=6.5))[0].svg
    assert words not in training_plots(training("a"))[0].svg


def test_the_loss_of_a_distillation_is_not_drawn_as_a_training_loss() -> None:
    assert ">training loss</text>" in training_plots(training("a"))[0].svg
    assert ">training loss</text>" not in training_plots(training("a", teacher="big"))[0].svg


def test_a_long_curve_is_averaged() -> None:
    points = averaged([(float(n), float(n % 2)) for n in range(1000)])
    assert len(points) == 200
    assert points[0] == (2.0, 0.4)


def swept(variant: str, family: str, *samples: dict[str, Any]) -> list[Record]:
    return make_task("time", make_subject(variant, family), Fact("sweep", samples=list(samples)), round=0)


def test_lengths_and_batches_are_swept_in_plots_of_their_own() -> None:
    speed = "encode_tokens_per_second"
    points = [{"batch_size": rows, "prompt_tokens": length, speed: 9.0 * rows * length}
              for rows, length in ((1, 128), (1, 512), (4, 128), (16, 128))]  # fmt: skip
    found = sweep_plots(swept("b/torch/fp32/cpu", "masked", *points))
    assert [plot.name for plot in found] == ["sweep-encode-prompt", "sweep-encode-batch"]
    assert "1: 1,152 tokens/s" not in found[0].svg
    assert "batch 16: 18,432 tokens/s" in found[1].svg


def test_a_point_that_did_not_fit_is_no_point() -> None:
    points = [{"batch_size": 1, "prompt_tokens": n, "decode_tokens_per_second": 9.0} for n in (32, 64)]
    left = {"batch_size": 1, "prompt_tokens": 4096, "left_out": "too long"}
    (plot,) = sweep_plots(swept("a/torch/fp32/cpu", "causal", *points, left))
    assert "4,096" not in plot.svg
    assert sweep_plots(swept("a/torch/fp32/cpu", "causal", points[0], left)) == []
