from __future__ import annotations

import pytest
from builders import make_subject, make_task, quality_fact

from harness.records.record import Fact
from harness.records.rows import make_rows

CANDIDATE = make_subject("mini")
TORCH = make_subject("mini/torch/fp32/cpu")
ONNX = make_subject("mini/onnxruntime/fp32/cpu")


def parameters(value: float):
    return make_task("candidate", CANDIDATE, Fact("parameters", value=value))


def decoding(*readings: float, subject=TORCH):
    tasks = [
        make_task("time", subject, Fact("decode_tokens_per_second", value=reading), round=number)
        for number, reading in enumerate(readings)
    ]
    return [record for task in tasks for record in task]


def test_no_records_make_no_rows():
    assert make_rows([]) == []


def test_a_candidate_alone_is_no_row():
    assert make_rows(parameters(1e6)) == []


def test_every_variant_is_a_row_in_the_order_of_preparation():
    records = [*parameters(1e6), *make_task("variant", ONNX), *make_task("variant", TORCH), *decoding(5.0)]
    assert [row.variant for row in make_rows(records)] == [ONNX.variant, TORCH.variant]


def test_what_was_measured_of_the_candidate_holds_for_all_its_variants():
    other = make_subject("other/torch/fp32/cpu")
    records = [*parameters(1e6), *(r for s in (TORCH, ONNX, other) for r in make_task("variant", s))]
    assert [row.value("parameters") for row in make_rows(records)] == [1e6, 1e6, None]


def test_metrics_of_a_variant_stay_with_it():
    records = [*decoding(10.0), *decoding(20.0, subject=ONNX)]
    assert [row.value("decode_tokens_per_second") for row in make_rows(records)] == [10.0, 20.0]


def test_readings_of_rounds_become_their_median_with_an_interval():
    (row,) = make_rows(decoding(3.0, 1.0, 2.0, 6.0, 5.0, 4.0))
    value = row.metrics["decode_tokens_per_second"]
    assert (value.estimate.value, value.estimate.low, value.estimate.high) == (3.5, 1.0, 6.0)
    assert value.rounds == {0: 3.0, 1: 1.0, 2: 2.0, 3: 6.0, 4: 5.0, 5: 4.0}


def test_quality_keeps_its_interval_protocol_and_documents():
    fact = quality_fact("perplexity", [300.0, 320.0, 340.0])
    (row,) = make_rows(make_task("score", TORCH, fact))
    value = row.metrics["perplexity"]
    assert (value.estimate.value, value.estimate.low, value.estimate.high) == (fact.value, fact.low, fact.high)
    assert (value.estimate.n, value.estimate.method) == (3, "clustered by document")
    assert value.documents[1] == {"document": 1, "nll": 320.0, "tokens": 100, "bytes": 400, "words": 50}
    assert value.protocol["block_size"] == 128


def test_training_losses_are_no_metrics_of_a_variant():
    losses = [Fact("training_loss", value=3.0), Fact("validation_loss", value=3.5)]
    records = [*make_task("candidate", CANDIDATE, *losses), *make_task("variant", TORCH)]
    (row,) = make_rows(records)
    assert row.metrics == {}


def test_a_sample_is_kept_with_its_prompt():
    fact = Fact("text", text="peace and a good road", protocol={"prompt": "The people want"})
    (row,) = make_rows(make_task("score", TORCH, fact))
    assert (row.sample, row.sample_prompt) == ("peace and a good road", "The people want")
    assert "text" not in row.metrics


def test_a_row_of_good_tasks_is_ok_without_a_reason():
    measured = [record for kind in ("variant", "score", "memory") for record in make_task(kind, TORCH)]
    (row,) = make_rows([*measured, *decoding(1.0)])
    assert (row.status, row.reason) == ("ok", "")


def test_a_row_that_was_not_measured_whole_says_what_is_missing():
    (row,) = make_rows([*make_task("variant", TORCH), *make_task("score", TORCH)])
    assert (row.status, row.reason) == ("interrupted", "not measured yet: memory, time")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("variant", "no such layer"),
        ("score", "scoring: no such layer"),
        ("memory", "measuring memory: no such layer"),
        ("time", "timing: no such layer"),
    ],
)
def test_a_task_that_failed_gives_the_row_its_status_and_says_what_was_being_done(kind, reason):
    records = [*make_task("variant", TORCH), *make_task(kind, TORCH, status="failed", reason="no such layer")]
    (row,) = make_rows(records)
    assert (row.status, row.reason) == ("failed", reason)


def test_the_first_of_several_failures_counts():
    records = [
        *make_task("score", TORCH, status="timeout", reason="killed after 9 s"),
        *make_task("time", TORCH, status="crashed", reason="killed by SIGSEGV", round=0),
    ]
    (row,) = make_rows(records)
    assert (row.status, row.reason) == ("timeout", "scoring: killed after 9 s")


def test_a_row_that_failed_keeps_what_was_measured_before():
    score = make_task("score", TORCH, quality_fact("perplexity", [300.0, 320.0]))
    (row,) = make_rows([*score, *make_task("time", TORCH, status="timeout", reason="killed", round=0)])
    assert row.status == "timeout"
    assert row.value("perplexity") is not None


def test_the_subject_is_the_one_that_knows_its_weights():
    planned = make_subject(TORCH.variant, weights="", tokenizer="")
    (row,) = make_rows([*make_task("variant", planned), *make_task("score", TORCH)])
    assert row.subject == TORCH


def test_a_metric_that_was_not_measured_has_no_value():
    (row,) = make_rows(make_task("variant", TORCH))
    assert row.value("perplexity") is None
