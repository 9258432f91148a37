"""What is compared stays within a kind of machine: parents, siblings, claims, and the machines of two runs."""

from __future__ import annotations

from typing import Any

import pytest
from builders import make_row, single, timed
from stored_runs import INFO, QUIET, a_run, a_variant, info_with, times

from harness.selection.claims import Claim, Range, judge
from harness.selection.comparability import machine_differences
from harness.selection.equivalence import parent_of
from harness.selection.recommend import recommend
from harness.selection.regressions import compare_runs
from harness.selection.slower import slower_sentences
from harness.selection.use_cases import UseCase

DECODE = "decode_tokens_per_second"
FP32 = [make_row(f"mini/torch/fp32/cpu{at}", {DECODE: timed(QUIET)}) for at in ("", "@small", "@large")]


@pytest.mark.parametrize(("at", "place"), [("", 0), ("@small", 1), ("@large", 2)])
def test_the_parent_of_a_variant_is_of_its_kind(at, place):
    assert parent_of(make_row(f"mini/onnxruntime/int8/cpu{at}"), FP32) is FP32[place]


def test_a_variant_whose_parent_was_measured_on_another_kind_alone_has_none():
    assert parent_of(make_row("mini/onnxruntime/int8/cpu@tiny"), FP32) is None


def test_a_quantised_variant_is_slower_than_fp32_of_its_own_kind_alone():
    slow = {DECODE: timed(times(QUIET, 0.5)), "quantised_share": single(0.9)}
    rows = [*FP32, make_row("mini/torch/int8/cpu@small", slow), make_row("mini/torch/int8/cpu@tiny", slow)]
    (sentence,) = slower_sentences(rows, ())
    assert sentence.startswith("`mini/torch/int8/cpu@small` is slower than `mini/torch/fp32/cpu@small`: ")


def on(candidate: str, at: str, factor: float):
    return make_row(f"{candidate}/torch/fp32/cpu{at}", {DECODE: timed(times(QUIET, factor))})


@pytest.mark.parametrize("variants", [(), ("torch/fp32",), ("torch/fp32/cpu",)])
def test_a_claim_about_two_candidates_is_judged_on_each_kind_by_itself(variants):
    rows = [on("one", "@small", 1.0), on("two", "@small", 2.0), on("one", "@large", 9.0), on("two", "@large", 9.0)]
    claim = Claim("faster", "me", ("two",), ("one",), (DECODE,), Range(at_least=1.5), variants)
    found = {each.new.subject.machine: (each.verdict, each.base.variant) for each in judge([claim], rows)}
    assert found == {
        "small": ("holds", "one/torch/fp32/cpu@small"),
        "large": ("does not hold", "one/torch/fp32/cpu@large"),
    }


def test_a_claim_may_name_a_kind():
    claim = Claim("fast", "me", ("one",), (), (DECODE,), Range(at_least=1.0), ("torch/fp32/cpu@small",))
    (found,) = judge([claim], [on("one", "@small", 1.0), on("one", "@large", 9.0)])
    assert found.new.variant == "one/torch/fp32/cpu@small"


def test_a_recommendation_chooses_among_all_kinds():
    rows = [on("one", "@small", 1.0), on("one", "@large", 9.0)]
    found = recommend(rows, UseCase("Fast", ("causal",), DECODE, (), ()))
    assert found.chosen.variant == "one/torch/fp32/cpu@large"


def on_machines(**kinds: str) -> dict[str, Any]:
    """What a run says that used a CPU for each kind."""
    listed = [
        {**INFO["environment"], "hash": f"env-{kind}", "cpu": cpu, "kind": kind, "nodes": 1}
        for kind, cpu in kinds.items()
    ]
    return {**INFO, "machines": listed}


def test_machines_of_two_runs_are_held_against_those_of_the_same_kind():
    base, new = on_machines(small="A", large="B"), on_machines(small="A", large="C", tiny="D")
    assert machine_differences(base, new) == ["machine large: CPU: B against C"]
    assert machine_differences(base, base) == []


def test_the_machine_that_a_run_on_a_cluster_was_started_on_does_not_count():
    base = on_machines(small="A")
    moved = {**base, "environment": info_with(environment={"cpu": "Other"})["environment"]}
    assert machine_differences(base, moved) == []


def test_a_run_on_a_cluster_is_held_against_one_on_a_single_machine():
    assert machine_differences(INFO, on_machines(**{"": "Other"})) == ["CPU: Example CPU against Other"]


def controlled(at: str, factor: float, control: float):
    readings = {DECODE: times(QUIET, factor), "control_seconds": times(QUIET, control)}
    return a_variant(f"mini/torch/fp32/cpu{at}", rounds=readings)


def test_drift_is_corrected_by_the_control_of_each_kind():
    base = a_run("old", controlled("@small", 1.0, 1.0), controlled("@large", 9.0, 0.1))
    new = a_run("newer", controlled("@small", 1 / 1.08, 1.08), controlled("@large", 9.0, 0.1))
    found = compare_runs(base, new, {})
    assert {kind: drift.control for kind, drift in found.drifts.items()} == pytest.approx({"small": 1.08, "large": 1.0})
    assert found.overall == "unchanged"


def test_a_kind_that_moved_leaves_the_verdicts_on_another_alone():
    base = a_run("old", controlled("@small", 1.0, 1.0), controlled("@large", 9.0, 0.1))
    new = a_run("newer", controlled("@small", 0.5, 1.5), controlled("@large", 9.0, 0.1))
    found = {each.variant[-6:]: each.judgement for each in compare_runs(base, new, {}).changes if each.metric == DECODE}
    assert found["@small"].reason == "the machine itself moved by 50%"
    assert found["@large"].verdict == "unchanged"
