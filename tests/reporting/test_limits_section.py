"""What a report says of the machine's limits, of what was quantised, and of what that made slower."""

from __future__ import annotations

import json

import pytest
from builders import make_subject, make_task

from harness.records.record import Fact, Record, Subject
from harness.records.rows import make_rows
from harness.reporting.exports import rows_json
from harness.reporting.markdown import report

MACHINE = Subject("machine/cpu", candidate="", family="", origin="", device="cpu")
QUANTISED = {"elements": {"fp32": 1_000_000, "int8": 3_000_000}, "operators": {"MatMulInteger": 16, "MatMul": 1}}


def variant(precision: str, speed: float, share: float, counts: dict) -> list[Record]:
    subject = make_subject(f"gpt/onnxruntime/{precision}/cpu")
    facts = [
        Fact("step_bytes", value=20e6),
        Fact("prefill_operations", value=128e6, protocol={"prompt_tokens": 128}),
        Fact("quantised_share", value=share, protocol=counts),
    ]
    records = [*make_task("score", subject, *facts), *make_task("memory", subject)]
    for number in range(6):
        readings = {"decode_tokens_per_second": speed + number, "prefill_tokens_per_second": 10 * speed + number}
        records += make_task("time", subject, *(Fact(m, value=v) for m, v in readings.items()), round=number)
    return records


@pytest.fixture
def with_limits(empty_run):
    """An fp32 variant and an int8 one that is slower, on a machine whose limits were measured."""
    peaks = {"read_bandwidth": 20e9, "matmul_peak_fp32": 1e9, "matmul_peak_int8": 2.5e9}
    empty_run.store.append(make_task("limits", MACHINE, *(Fact(name, value=value) for name, value in peaks.items())))
    empty_run.store.append(variant("fp32", 500.0, 0.0, {"elements": {"fp32": 4_000_000}, "operators": {"MatMul": 17}}))
    empty_run.store.append(variant("int8", 400.0, 0.75, QUANTISED))
    return empty_run


def test_each_speed_stands_beside_its_limit_and_the_fraction_that_is_reached(with_limits, parse):
    headers, lines = parse(report(with_limits)).table_with("decode limit")
    assert headers == ["variant", "decode", "decode limit", "decode, of the limit", "prefill", "prefill limit",
                       "prefill, of the limit"]  # fmt: skip
    assert lines[0] == ["`gpt/onnxruntime/fp32/cpu`", "502.5", "1,000", "50.25 [50.00, 50.50]", "5,002.5", "1,000",
                        "500.25 [500.00, 500.50]"]  # fmt: skip
    assert lines[1][5] == "2,500"


def test_the_report_says_in_one_sentence_how_to_read_a_fraction(with_limits):
    sentence = report(with_limits).split("### Distance from the limit\n\n")[1].split("\n\n")[0]
    assert sentence.startswith("A fraction says")
    assert sentence.count(". ") == 0
    assert "passes 100 % where its weights stay in the caches" in sentence


def test_the_machine_is_told_with_its_limits(with_limits):
    line = "- Limits of cpu: read bandwidth 20.0 GB/s, fp32 peak 1.000 Gop/s, int8 peak 2.500 Gop/s"
    assert line in report(with_limits)


def test_a_run_without_limits_has_no_such_section(run, parse):
    assert "Distance from the limit" not in parse(report(run)).headings
    assert "Limits of" not in report(run)


def test_fractions_are_exported_and_the_machine_is_no_variant(with_limits):
    found = json.loads(rows_json(make_rows(with_limits.records())))
    assert [row["precision"] for row in found] == ["fp32", "int8"]
    assert found[0]["metrics"]["decode_fraction_of_limit"]["value"] == pytest.approx(0.5025)


def test_what_was_quantised_is_proved_by_count(with_limits, parse):
    headers, lines = parse(report(with_limits)).table_with("matrix products with weights")
    assert headers == ["variant", "matrix products with weights", "quantised", "fp32", "int8"]
    assert lines == [["`gpt/onnxruntime/int8/cpu`", "16 MatMulInteger, 1 MatMul", "75.0", "1,000,000", "3,000,000"]]


def test_int8_that_is_slower_than_fp32_is_explained_from_the_instructions(with_limits):
    text = report(with_limits).split("### Slower than fp32\n\n")[1].split("\n\n")[0]
    decode, prefill = text.split("\n")
    assert decode.startswith("- `gpt/onnxruntime/int8/cpu` is slower than `gpt/onnxruntime/fp32/cpu`: decode at 0.80")
    assert "prefill at 0.80 times its speed" in prefill
    assert "neither VNNI nor AMX" in prefill


def test_nothing_is_said_where_int8_is_faster(run, parse):
    assert "Slower than fp32" not in parse(report(run)).headings
