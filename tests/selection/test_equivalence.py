from __future__ import annotations

import math

import pytest
from builders import make_row, scored

from harness.selection.equivalence import not_equivalent, parent_of

NATS = [300.0, 340.0, 280.0, 310.0]


def row(variant: str, ratio: float = 1.0, metric: str = "perplexity", **other):
    """A variant with ``ratio`` times the perplexity of the same documents."""
    nats = [each + 100 * math.log(ratio) for each in NATS]
    return make_row(variant, {metric: scored(metric, nats)}, **other)


PARENT = row("mini/torch/fp32/cpu")


@pytest.mark.parametrize("ratio", [0.9995, 1.0, 1.0009])
def test_an_fp32_export_within_a_tenth_of_a_per_cent_is_equivalent(ratio):
    export = row("mini/onnxruntime/fp32/cpu", ratio)
    assert not_equivalent(export, [PARENT, export]) is None


@pytest.mark.parametrize(("ratio", "words"), [(1.0021, "+0.21%"), (0.9979, r"-0.21%")])
def test_an_fp32_export_that_is_off_by_more_is_not_whichever_way(ratio, words):
    export = row("mini/onnxruntime/fp32/cpu", ratio)
    assert not_equivalent(export, [PARENT, export]).startswith(f"its perplexity is {words}")
    assert "more than 0.1%" in not_equivalent(export, [PARENT, export])


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize(("ratio", "equivalent"), [(0.96, True), (1.049, True), (1.051, False), (0.94, False)])
def test_a_lower_precision_may_be_off_by_five_per_cent(precision, ratio, equivalent):
    variant = row(f"mini/onnxruntime/{precision}/cpu", ratio)
    assert (not_equivalent(variant, [PARENT, variant]) is None) is equivalent


@pytest.mark.parametrize(("metric", "family"), [("masked_perplexity", "masked"), ("span_perplexity", "seq2seq")])
def test_every_family_is_held_to_its_own_perplexity(metric, family):
    parent = row("mini/torch/fp32/cpu", metric=metric, family=family)
    variant = row("mini/onnxruntime/int8/cpu", 1.2, metric=metric, family=family)
    assert not_equivalent(variant, [parent, variant]) is not None


def test_the_parent_is_the_fp32_torch_variant_of_the_same_candidate_and_device():
    others = [row("other/torch/fp32/cpu"), row("mini/torch/fp32/cuda"), row("mini/torch/bf16/cpu")]
    export = row("mini/onnxruntime/int8/cpu")
    assert parent_of(export, [*others, export, PARENT]) is PARENT
    assert parent_of(export, [*others, export]) is None


def test_the_parent_has_no_parent_and_is_equivalent():
    assert parent_of(PARENT, [PARENT]) is None
    assert not_equivalent(PARENT, [PARENT]) is None


def test_a_parent_whose_timing_failed_still_stands_for_the_model():
    failed = row("mini/torch/fp32/cpu", status="failed", reason="timing: no")
    export = row("mini/onnxruntime/fp32/cpu", 2.0)
    assert parent_of(export, [failed, export]) is failed
    assert not_equivalent(export, [failed, export]) is not None


def test_a_variant_whose_quality_was_not_measured_is_not_accused():
    export = make_row("mini/onnxruntime/fp32/cpu")
    assert not_equivalent(export, [PARENT, export]) is None
