from __future__ import annotations

from builders import make_subject, make_task, quality_fact

from harness.records.frame import frame
from harness.records.record import Fact

TORCH = make_subject("mini/torch/fp32/cpu")


def test_a_frame_has_a_line_for_every_fact():
    facts = [Fact("decode_tokens_per_second", value=50.0), Fact("load_seconds", value=0.25)]
    found = frame(make_task("time", TORCH, *facts, round=2))
    assert found["metric"].tolist() == ["decode_tokens_per_second", "load_seconds"]
    assert found["value"].tolist() == [50.0, 0.25]
    assert found["round"].tolist() == [2, 2]


def test_a_frame_tells_what_was_measured():
    (line,) = frame(make_task("score", TORCH, quality_fact("perplexity", [300.0, 320.0]))).to_dict("records")
    told = {key: line[key] for key in ("variant", "candidate", "family", "engine", "precision", "kind", "status")}
    assert told == {
        "variant": "mini/torch/fp32/cpu",
        "candidate": "mini",
        "family": "causal",
        "engine": "torch",
        "precision": "fp32",
        "kind": "score",
        "status": "ok",
    }
    assert [sums["nll"] for sums in line["samples"]] == [300.0, 320.0]


def test_closing_records_are_no_lines():
    assert frame(make_task("variant", TORCH)).empty
