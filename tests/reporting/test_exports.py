from __future__ import annotations

import csv
import io
import json
import math

import pytest
from builders import make_row, scored, single, timed

from harness.records.rows import make_rows
from harness.reporting.exports import rows_csv, rows_json

COLUMNS = ["variant", "candidate", "family", "origin", "engine", "precision", "device", "machine", "status", "reason"]
KEYS = ["value", "low", "high", "unit", "n", "higher_is_better"]


@pytest.fixture
def rows():
    metrics = {
        "weights_bytes": single(1024.0),
        "decode_tokens_per_second": timed([50.0, 51.0, 52.0, 53.0, 54.0, 55.0]),
        "perplexity": scored("perplexity", [230.0, 240.0]),
        "quantised_share": single(0.5),
    }
    reason = 'scoring: said "no",\nthen <stopped> at a|b; naïve'
    return [
        make_row("gpt/torch/fp32/cpu", metrics),
        make_row("bert/torch/fp32/cpu", family="masked", status="failed", reason=reason),
    ]


def lines(rows) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(rows_csv(rows))))


def test_json_has_exactly_the_documented_keys(rows):
    for row in json.loads(rows_json(rows)):
        assert list(row) == [*COLUMNS, "metrics"]
        for metric in row["metrics"].values():
            assert list(metric) == KEYS


def test_json_tells_the_parts_of_a_variant(rows):
    good, bad = json.loads(rows_json(rows))
    assert [good[key] for key in COLUMNS[:7]] == [
        "gpt/torch/fp32/cpu", "gpt", "causal", "trained", "torch", "fp32", "cpu",
    ]  # fmt: skip
    assert (good["status"], good["reason"]) == ("ok", "")
    assert (bad["status"], bad["reason"]) == ("failed", rows[1].reason)


def test_json_gives_values_unrounded_with_unit_count_and_direction(rows):
    metrics = json.loads(rows_json(rows))[0]["metrics"]
    assert metrics["decode_tokens_per_second"] == {
        "value": 52.5, "low": 50.0, "high": 55.0, "unit": "tokens/s", "n": 6, "higher_is_better": True,
    }  # fmt: skip
    assert metrics["perplexity"]["value"] == pytest.approx(math.exp(2.35), rel=1e-12)
    assert metrics["perplexity"]["higher_is_better"] is False
    assert metrics["quantised_share"]["higher_is_better"] is None


def test_json_has_null_ends_where_there_is_no_interval(rows):
    metric = json.loads(rows_json(rows))[0]["metrics"]["weights_bytes"]
    assert (metric["value"], metric["low"], metric["high"]) == (1024.0, None, None)


def test_json_of_no_rows_is_an_empty_list():
    assert json.loads(rows_json([])) == []


def test_json_keeps_text_of_other_languages_readable(rows):
    assert "naïve" in rows_json(rows)


def test_csv_has_a_line_for_each_variant_and_metric(rows):
    found = lines(rows)
    assert list(found[0]) == [*COLUMNS, "metric", *KEYS]
    assert [line["metric"] for line in found if line["candidate"] == "gpt"] == list(rows[0].metrics)
    speed = next(line for line in found if line["metric"] == "decode_tokens_per_second")
    assert [speed[key] for key in KEYS] == ["52.5", "50.0", "55.0", "tokens/s", "6", "True"]


def test_csv_has_a_line_for_a_variant_without_metrics(rows):
    (line,) = [line for line in lines(rows) if line["candidate"] == "bert"]
    assert (line["status"], line["reason"]) == ("failed", rows[1].reason)
    assert {line[key] for key in ("metric", *KEYS)} == {""}


def test_csv_leaves_the_ends_empty_where_there_is_no_interval(rows):
    size = next(line for line in lines(rows) if line["metric"] == "weights_bytes")
    assert (size["value"], size["low"], size["high"]) == ("1024.0", "", "")


def test_json_and_csv_of_a_real_run_tell_the_same(run):
    rows = make_rows(run.records())
    told = {
        (row["variant"], name): metric["value"]
        for row in json.loads(rows_json(rows))
        for name, metric in row["metrics"].items()
    }
    assert told == {(line["variant"], line["metric"]): float(line["value"]) for line in lines(rows) if line["metric"]}
