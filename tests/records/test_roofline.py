from __future__ import annotations

import pytest
from builders import make_subject, make_task, single, timed

from harness.records.record import Fact, Subject
from harness.records.roofline import fractions_of_limit, machine_limits, peak_of
from harness.records.rows import make_rows
from harness.records.values import Value
from harness.stats.intervals import Estimate

MACHINE = Subject("machine/cpu", candidate="", family="", origin="", device="cpu")
LIMITS = {"read_bandwidth": 20e9, "matmul_peak_fp32": 200e9, "matmul_peak_bf16": 2e9, "matmul_peak_int8": 400e9}
READINGS = [50.0, 51.0, 52.0, 53.0, 54.0, 55.0]


def operations(count: float, tokens: int) -> Value:
    return Value(Estimate(count, None, None, 1, ""), protocol={"prompt_tokens": tokens})


def limits_task(**limits: float):
    return make_task("limits", MACHINE, *(Fact(name, value=value) for name, value in limits.items()))


def test_decode_at_the_limit_reads_the_weights_once_a_token():
    metrics = {"step_bytes": single(200e6), "decode_tokens_per_second": single(50.0)}
    found = fractions_of_limit(metrics, "fp32", LIMITS)
    assert found["decode_fraction_of_limit"].estimate.value == pytest.approx(200e6 * 50 / 20e9)


@pytest.mark.parametrize("speed", ["prefill", "encode"])
def test_a_prompt_at_the_limit_takes_its_operations_over_the_peak(speed):
    metrics = {"prefill_operations": operations(64e9, 128), f"{speed}_tokens_per_second": single(200.0)}
    found = fractions_of_limit(metrics, "fp32", LIMITS)
    seconds = 128 / 200.0
    assert found[f"{speed}_fraction_of_limit"].estimate.value == pytest.approx(64e9 / seconds / 200e9)


def test_a_fraction_has_the_interval_of_its_speed():
    metrics = {"step_bytes": single(100e6), "decode_tokens_per_second": timed(READINGS)}
    value = fractions_of_limit(metrics, "fp32", LIMITS)["decode_fraction_of_limit"]
    assert value.rounds == pytest.approx({number: reading / 200 for number, reading in enumerate(READINGS)})
    assert (value.estimate.low, value.estimate.high) == pytest.approx((0.25, 0.275))


def test_a_row_without_intervals_has_a_fraction_without_one():
    metrics = {"step_bytes": single(100e6), "decode_tokens_per_second": timed(READINGS[:2])}
    estimate = fractions_of_limit(metrics, "fp32", LIMITS)["decode_fraction_of_limit"].estimate
    assert (estimate.low, estimate.high) == (None, None)


def test_weights_in_the_caches_may_pass_the_limit():
    metrics = {"step_bytes": single(20e6), "decode_tokens_per_second": single(1500.0)}
    assert fractions_of_limit(metrics, "fp32", LIMITS)["decode_fraction_of_limit"].estimate.value == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("metrics", "limits"),
    [
        ({"step_bytes": single(0.0), "decode_tokens_per_second": single(50.0)}, LIMITS),
        ({"decode_tokens_per_second": single(50.0)}, LIMITS),
        ({"step_bytes": single(1e6)}, LIMITS),
        ({"prefill_tokens_per_second": single(50.0)}, LIMITS),
        ({"step_bytes": single(1e6), "decode_tokens_per_second": single(50.0)}, {}),
        ({"prefill_operations": operations(1e9, 128), "prefill_tokens_per_second": single(50.0)}, {}),
    ],
    ids=["no bytes counted", "no bytes", "not timed", "no operations", "no bandwidth", "no peak"],
)
def test_there_is_no_fraction_where_one_side_is_not_known(metrics, limits):
    assert fractions_of_limit(metrics, "fp32", limits) == {}


@pytest.mark.parametrize(
    ("precision", "peak"), [("fp32", 200e9), ("bf16", 200e9), ("fp16", 200e9), ("int8", 400e9), ("q4_k_m", 400e9)]
)
def test_the_peak_is_that_of_the_type_that_is_computed_in(precision, peak):
    assert peak_of(precision, LIMITS) == peak


def test_bf16_has_its_own_peak_where_it_is_faster_than_fp32():
    assert peak_of("bf16", {**LIMITS, "matmul_peak_bf16": 900e9}) == 900e9


def test_the_machine_is_no_row():
    records = [*make_task("variant", make_subject()), *limits_task(read_bandwidth=20e9)]
    assert [row.variant for row in make_rows(records)] == ["mini/torch/fp32/cpu"]


def test_limits_are_told_by_device():
    on_gpu = make_task("limits", Subject("machine/cuda", "", "", "", device="cuda"), Fact("read_bandwidth", value=3e12))
    assert machine_limits([*limits_task(read_bandwidth=20e9), *on_gpu]) == {
        "cpu": {"read_bandwidth": 20e9},
        "cuda": {"read_bandwidth": 3e12},
    }


def test_a_row_is_held_against_the_limits_of_its_own_device():
    subjects = [make_subject("mini/torch/fp32/cpu"), make_subject("mini/torch/fp32/cuda")]
    records = limits_task(read_bandwidth=20e9)
    for subject in subjects:
        records += make_task("score", subject, Fact("step_bytes", value=100e6))
        records += make_task("time", subject, Fact("decode_tokens_per_second", value=50.0), round=0)
    assert [row.value("decode_fraction_of_limit") for row in make_rows(records)] == [pytest.approx(0.25), None]
