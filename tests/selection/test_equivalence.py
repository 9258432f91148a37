from __future__ import annotations

from dataclasses import replace

import pytest
from builders import make_row, single

from harness.selection.equivalence import APPROXIMATE, EXACT, gate_of, not_equivalent, parent_of

EXPORT, INT8, BF16 = "mini/onnxruntime/fp32/cpu", "mini/onnxruntime/int8/cpu", "mini/torch/bf16/cpu"
PARENT = make_row("mini/torch/fp32/cpu")


def beside(variant: str, ratio: float = 1.0, agreement: float = 1.0, **other):
    """A variant with the two numbers that were found beside its parent."""
    return make_row(variant, {"perplexity_ratio": single(ratio), "top1_agreement": single(agreement)}, **other)


@pytest.mark.parametrize(
    ("ratio", "equivalent"),
    [(0.998, False), (0.9989, False), (0.9991, True), (1.0, True), (1.0009, True), (1.0011, False), (1.002, False)],
)
def test_an_fp32_export_keeps_its_perplexity_within_a_tenth_of_a_per_cent(ratio, equivalent):
    assert (not_equivalent(beside(EXPORT, ratio)) is None) is equivalent


@pytest.mark.parametrize("variant", [INT8, BF16])
@pytest.mark.parametrize(
    ("ratio", "equivalent"),
    [(0.9, False), (0.949, False), (0.951, True), (1.0, True), (1.049, True), (1.051, False), (1.1, False)],
)
def test_a_lower_precision_keeps_its_perplexity_within_five_per_cent(variant, ratio, equivalent):
    assert (not_equivalent(beside(variant, ratio)) is None) is equivalent


@pytest.mark.parametrize(("agreement", "equivalent"), [(0.95, False), (0.9989, False), (0.999, True), (1.0, True)])
def test_an_fp32_export_agrees_on_the_likeliest_of_999_in_1000_tokens(agreement, equivalent):
    assert (not_equivalent(beside(EXPORT, agreement=agreement)) is None) is equivalent


@pytest.mark.parametrize("variant", [INT8, BF16])
@pytest.mark.parametrize(("agreement", "equivalent"), [(0.5, False), (0.949, False), (0.95, True), (0.999, True)])
def test_a_lower_precision_agrees_on_the_likeliest_of_95_in_100_tokens(variant, agreement, equivalent):
    assert (not_equivalent(beside(variant, agreement=agreement)) is None) is equivalent


@pytest.mark.parametrize(
    ("variant", "ratio", "reason"),
    [
        (EXPORT, 1.0021, "its perplexity is +0.21 % against fp32 torch, more than 0.1 %"),
        (EXPORT, 0.9979, "its perplexity is -0.21 % against fp32 torch, more than 0.1 %"),
        (INT8, 1.62, "its perplexity is +62.00 % against fp32 torch, more than 5.0 %"),
    ],
)
def test_the_reason_names_the_change_of_perplexity_and_the_limit(variant, ratio, reason):
    assert not_equivalent(beside(variant, ratio)) == reason


@pytest.mark.parametrize(
    ("variant", "agreement", "reason"),
    [
        (EXPORT, 0.9912, "its likeliest token is that of fp32 torch in 99.12 % of cases, less than 99.9 %"),
        (INT8, 0.8, "its likeliest token is that of fp32 torch in 80.00 % of cases, less than 95.0 %"),
    ],
)
def test_the_reason_names_the_agreement_and_the_limit(variant, agreement, reason):
    assert not_equivalent(beside(variant, agreement=agreement)) == reason


@pytest.mark.parametrize(("variant", "equivalent"), [(EXPORT, False), (INT8, True)])
def test_of_random_weights_the_likeliest_token_counts_in_fp32_only(variant, equivalent):
    row = beside(variant, agreement=0.8)
    row = replace(row, subject=replace(row.subject, origin="random"))
    assert (not_equivalent(row) is None) == equivalent


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
@pytest.mark.parametrize("off", [{"ratio": 1.2}, {"agreement": 0.8}])
def test_every_family_is_held_to_both_numbers(family, off):
    assert not_equivalent(beside(INT8, **off, family=family)) is not None


def test_the_parent_was_not_compared_and_is_equivalent():
    assert not_equivalent(PARENT) is None


def test_a_variant_whose_scoring_did_not_end_is_not_accused():
    assert not_equivalent(make_row(INT8, status="timeout", reason="scoring: killed after 9 s")) is None


@pytest.mark.parametrize(("precision", "gate"), [("fp32", EXACT), ("bf16", APPROXIMATE), ("int8", APPROXIMATE)])
def test_fp32_has_the_exact_gate_and_all_other_precisions_the_approximate_one(precision, gate):
    assert gate_of(precision) == gate


def test_a_gate_is_shown_with_both_limits():
    assert str(EXACT) == "perplexity within 0.1 % and top-1 agreement of 99.9 % or more"
    assert str(APPROXIMATE) == "perplexity within 5.0 % and top-1 agreement of 95.0 % or more"


def test_the_parent_is_the_fp32_torch_variant_of_the_same_candidate_and_device():
    others = [make_row("other/torch/fp32/cpu"), make_row("mini/torch/fp32/cuda"), make_row("mini/torch/bf16/cpu")]
    export = make_row(INT8)
    assert parent_of(export, [*others, export, PARENT]) is PARENT
    assert parent_of(export, [*others, export]) is None


def test_the_parent_has_no_parent():
    assert parent_of(PARENT, [PARENT]) is None


def test_a_parent_whose_timing_failed_still_stands_for_the_model():
    failed = make_row("mini/torch/fp32/cpu", status="failed", reason="timing: no")
    export = make_row(EXPORT)
    assert parent_of(export, [failed, export]) is failed
