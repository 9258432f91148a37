from __future__ import annotations

import pytest
from builders import make_row, single, timed

from harness.records.values import Value
from harness.selection.slower import likely_reason, slower_sentences
from harness.stats.intervals import Estimate

AVX2 = ("avx", "avx2", "fma")
VNNI = (*AVX2, "avx512f", "avx512_vnni")
ROUNDS = (1.00, 1.02, 0.98, 1.01, 0.99, 1.03)


def variant(name: str, speed: float, metric: str = "prefill_tokens_per_second", operators=None, rounds=ROUNDS, **other):
    share = Value(Estimate(0.9, None, None, 1, ""), protocol={"operators": operators or {}})
    metrics = {metric: timed([speed * jitter for jitter in rounds]), "quantised_share": share}
    return make_row(name, metrics, **other)


def test_a_quantised_variant_that_loses_to_fp32_has_its_sentence():
    rows = [variant("mini/onnxruntime/fp32/cpu", 100.0), variant("mini/onnxruntime/int8/cpu", 80.0)]
    (sentence,) = slower_sentences(rows, AVX2)
    start = "`mini/onnxruntime/int8/cpu` is slower than `mini/onnxruntime/fp32/cpu`: prefill at 0.80 times its speed"
    assert sentence.startswith(f"{start} [0.80, 0.80]. Likely reason: ")


@pytest.mark.parametrize("speed", [100.0, 120.0])
def test_a_variant_that_is_as_fast_or_faster_has_none(speed):
    rows = [variant("mini/onnxruntime/fp32/cpu", 100.0), variant("mini/onnxruntime/int8/cpu", speed)]
    assert slower_sentences(rows, AVX2) == []


def test_too_few_rounds_settle_nothing():
    rows = [variant(f"mini/onnxruntime/{p}/cpu", s, rounds=ROUNDS[:5]) for p, s in (("fp32", 100.0), ("int8", 50.0))]
    assert slower_sentences(rows, AVX2) == []


@pytest.mark.parametrize(
    "other",
    ["mini/torch/fp32/cpu", "mini/onnxruntime/fp32/cuda", "large/onnxruntime/fp32/cpu", "mini/onnxruntime/bf16/cpu"],
)
def test_only_fp32_of_the_same_candidate_engine_and_device_counts(other):
    assert slower_sentences([variant(other, 100.0), variant("mini/onnxruntime/int8/cpu", 50.0)], AVX2) == []


def test_variants_that_failed_are_not_compared():
    rows = [variant("mini/x/fp32/cpu", 100.0), variant("mini/x/int8/cpu", 50.0, status="failed")]
    assert slower_sentences(rows, AVX2) == []


def test_a_lower_float_is_not_told_of():
    assert slower_sentences([variant("mini/torch/fp32/cpu", 100.0), variant("mini/torch/bf16/cpu", 50.0)], AVX2) == []


@pytest.mark.parametrize("speed", ["prefill_tokens_per_second", "encode_tokens_per_second"])
def test_without_integer_instructions_these_are_the_reason(speed):
    row = variant("mini/onnxruntime/int8/cpu", 1.0, operators={"MatMulInteger": 4})
    assert "neither VNNI nor AMX" in likely_reason(row, speed, AVX2)
    assert "neither VNNI nor AMX" not in likely_reason(row, speed, VNNI)
    assert "quantised anew before every product" in likely_reason(row, speed, VNNI)


def test_decode_is_not_bound_by_products_and_has_another_reason():
    reason = likely_reason(variant("mini/onnxruntime/int8/cpu", 1.0), "decode_tokens_per_second", AVX2)
    assert "VNNI" not in reason
    assert "fit into the caches" in reason


@pytest.mark.parametrize("operators", [{"MatMulNBits": 4}, {}])
def test_weights_that_are_unpacked_have_another_reason(operators):
    row = variant("mini/onnxruntime/int4/cpu", 1.0, operators=operators)
    assert "unpacked" in likely_reason(row, "prefill_tokens_per_second", AVX2)


def test_what_was_not_timed_is_not_told_of():
    rows = [make_row(f"mini/onnxruntime/{p}/cpu", {"weights_bytes": single(1.0)}) for p in ("fp32", "int8")]
    assert slower_sentences(rows, AVX2) == []
