"""Quality against speed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from builders import make_row, scored, single, timed
from hypothesis import given
from hypothesis import strategies as st

from harness.records.rows import Row
from harness.reporting.plots.pareto import _outline, pareto_plots
from harness.reporting.plots.theme import Plot

DECODE = (100.0, 101.0, 99.0, 102.0, 98.0, 103.0)
NATS = (300.0, 340.0, 280.0, 310.0, 330.0, 290.0, 305.0, 325.0)


def a_row(variant: str, speed: float = 1.0, quality: float = 1.0, **about: Any) -> Row:
    """A row of the family in ``about``, causal otherwise: ``speed`` times as fast, ``quality`` times the nats."""
    family = about.get("family", "causal")
    perplexity, speed_name = {
        "causal": ("perplexity", "decode_tokens_per_second"),
        "masked": ("masked_perplexity", "encode_tokens_per_second"),
    }[family]
    nats = [each * quality for each in NATS]
    metrics = {
        perplexity: scored(perplexity, nats),
        speed_name: timed([each * speed for each in DECODE]),
        "weights_bytes": single(1e8),
    }
    if family == "causal":
        metrics["bits_per_byte"] = scored("bits_per_byte", nats)
    return make_row(variant, metrics, **about)


def by_name(*rows: Row) -> Mapping[str, Plot]:
    return {plot.name: plot for plot in pareto_plots(rows)}


def test_each_family_has_its_own_plot() -> None:
    rows = [a_row("a/torch/fp32/cpu"), a_row("b/torch/fp32/cpu", 2.0)]
    rows += [a_row("c/torch/fp32/cpu", family="masked"), a_row("d/torch/fp32/cpu", 2.0, family="masked")]
    found = by_name(*rows)
    assert set(found) == {"pareto-causal", "pareto-masked"}
    assert "c/torch" not in found["pareto-causal"].svg
    assert "a/torch" not in found["pareto-masked"].svg


def test_perplexities_of_two_tokenizers_never_share_an_axis() -> None:
    causal = [a_row("a/torch/fp32/cpu"), a_row("b/torch/fp32/cpu", 2.0, tokenizer="tokenizer-2")]
    masked = [a_row(f"{n}/torch/fp32/cpu", family="masked", tokenizer=f"tokenizer-{n}") for n in ("c", "d")]
    found = by_name(*causal, *masked)
    assert set(found) == {"pareto-causal"}
    assert "bits per byte" in found["pareto-causal"].alt
    assert "perplexity" not in found["pareto-causal"].svg


def test_perplexities_of_one_tokenizer_are_drawn() -> None:
    found = by_name(a_row("a/torch/fp32/cpu"), a_row("b/torch/fp32/cpu", 2.0))
    assert ">perplexity, less is better →</text>" in found["pareto-causal"].svg


def test_one_variant_alone_is_no_trade() -> None:
    assert pareto_plots([a_row("a/torch/fp32/cpu")]) == []


def test_random_weights_have_no_quality() -> None:
    rows = [a_row("a/torch/fp32/cpu"), a_row("b/torch/fp32/cpu", 2.0)]
    assert pareto_plots([replace(row, subject=replace(row.subject, origin="random")) for row in rows]) == []


def test_the_front_leaves_out_what_is_surely_worse_and_what_is_not_equivalent() -> None:
    good, fast = a_row("good/torch/fp32/cpu", 1.0, 0.8), a_row("fast/torch/fp32/cpu", 3.0, 1.0)
    worse = a_row("worse/torch/fp32/cpu", 0.5, 1.5)
    broken = a_row("broken/onnxruntime/int8/cpu", 9.0, 0.5)
    broken = replace(broken, metrics={**broken.metrics, "perplexity_ratio": single(1.5)})
    plot = by_name(good, fast, worse, broken)["pareto-causal"]
    assert plot.alt.endswith("on the front: good/torch/fp32/cpu, fast/torch/fp32/cpu.")
    assert "not equivalent to fp32 torch" in plot.svg
    assert re.search(r"broken/onnxruntime/int8/cpu[^<]*not equivalent to its parent</title>", plot.svg)


def test_of_many_variants_few_are_named_and_all_are_drawn() -> None:
    rows = [a_row(f"m{n:03d}/torch/fp32/cpu", 1 + n / 100, 2 - n / 300) for n in range(300)]
    svg = by_name(*rows)["pareto-causal"].svg
    assert len(re.findall(r"<title>m\d{3}/torch", svg)) == 300
    assert len(re.findall(r">m\d{3} torch/fp32</text>", svg)) <= 12


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1))
def test_the_outline_holds_what_no_other_point_beats(points: list[tuple[float, float]]) -> None:
    outline = _outline(points, upwards=False)
    beaten = [p for p in points if any(q != p and q[0] >= p[0] and q[1] <= p[1] for q in points)]
    assert outline == sorted(set(points) - set(beaten))
