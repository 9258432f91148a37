"""The table of each variant against its parent."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from builders import make_row, plainly, scored, single

from harness.records.rows import Row
from harness.records.values import Value
from harness.reporting.quality import parent_table
from harness.stats.intervals import Estimate

INT8, EXPORT = "a/onnxruntime/int8/cpu", "a/onnxruntime/fp32/cpu"
NATS = [230.0, 250.0, 240.0]
NUMBERS = {
    "quantised_share": 0.75,
    "perplexity_ratio": 1.0123,
    "kl_divergence": 0.0321,
    "kl_divergence_p50": 0.0101,
    "kl_divergence_p95": 0.123,
    "kl_divergence_p99": 0.456,
    "kl_divergence_max": 2.5,
    "top1_agreement": 0.962,
}
BATCHED = {"perplexity": scored("perplexity", NATS), "batched_perplexity": scored("batched_perplexity", NATS)}


def beside(variant: str = INT8, more: Mapping[str, Value] | None = None, **changed: float) -> Row:
    """A variant with all that is measured beside its parent."""
    numbers = {metric: single(value) for metric, value in (NUMBERS | changed).items()}
    return make_row(variant, numbers | dict(more or {}))


def first_line(*rows: Row) -> dict[str, str]:
    """The cells of the first line by header."""
    table = plainly(parent_table(rows))
    return dict(zip(table.headers, table.lines[0], strict=True))


def test_all_that_is_measured_beside_the_parent_is_a_column():
    assert first_line(beside(more=BATCHED)) == {
        "variant": f"`{INT8}`",
        "quantised": "75.0",
        "perplexity ratio": "1.0123",
        "KL": "0.0321",
        "KL p50": "0.0101",
        "KL p95": "0.123",
        "KL p99": "0.456",
        "KL max": "2.500",
        "top-1 agreement": "96.2",
        "perplexity in batches": "1.0000",
        "verdict": "equivalent",
    }


@pytest.mark.parametrize(
    ("variant", "numbers", "verdict"),
    [
        (INT8, {"perplexity_ratio": 1.04}, "equivalent"),
        (INT8, {"perplexity_ratio": 1.06}, "not equivalent"),
        (INT8, {"top1_agreement": 0.94}, "not equivalent"),
        (EXPORT, {"perplexity_ratio": 1.0, "top1_agreement": 1.0}, "equivalent"),
        (EXPORT, {"perplexity_ratio": 1.04, "top1_agreement": 1.0}, "not equivalent"),
        (EXPORT, {"perplexity_ratio": 1.0, "top1_agreement": 0.962}, "not equivalent"),
    ],
)
def test_the_verdict_is_that_of_the_gate_of_the_precision(variant, numbers, verdict):
    assert first_line(beside(variant, **numbers))["verdict"] == verdict


@pytest.mark.parametrize(
    ("ratio", "shown"), [(1.00012, "1.0001"), (0.9875, "0.9875"), (1.0301, "1.03"), (1.6233, "1.62")]
)
def test_a_ratio_near_one_is_shown_more_finely(ratio, shown):
    assert first_line(beside(perplexity_ratio=ratio))["perplexity ratio"] == shown


def test_shares_have_their_unit_in_the_header_and_no_column_is_better_in_a_direction():
    table = parent_table([beside(more=BATCHED)])
    assert table is not None
    assert [str(header) for header in table.headers] == [
        "variant", "quantised (%)", "perplexity ratio", "KL (nats/token)", "KL p50 (nats/token)",
        "KL p95 (nats/token)", "KL p99 (nats/token)", "KL max (nats/token)", "top-1 agreement (%)",
        "perplexity in batches", "verdict",
    ]  # fmt: skip


def test_numbers_that_have_an_interval_are_shown_with_it():
    ends = {
        "perplexity_ratio": Value(Estimate(1.01, 1.005, 1.015, 3, "paired")),
        "kl_divergence": Value(Estimate(0.032, 0.03, 0.034, 3, "clustered")),
        "top1_agreement": Value(Estimate(0.962, 0.951, 0.991, 3, "wider")),
    }
    cells = first_line(beside(more=ends))
    assert cells["perplexity ratio"] == "1.0100 [1.0050, 1.0150]"
    assert cells["KL"] == "0.0320 [0.0300, 0.0340]"
    assert cells["top-1 agreement"] == "96.2 [95.1, 99.1]"


@pytest.mark.parametrize(
    ("family", "metric"), [("causal", "perplexity"), ("masked", "masked_perplexity"), ("seq2seq", "span_perplexity")]
)
def test_the_perplexity_in_batches_is_a_ratio_to_that_of_one_window_at_a_time(family, metric):
    """One nat more in each document of a hundred tokens: exp(0.01), without doubt."""
    batched = scored("batched_perplexity", [each + 1 for each in NATS], batch_size=8)
    alone = scored(metric, NATS, batch_size=1)
    metrics = {"perplexity_ratio": single(1.0), metric: alone, "batched_perplexity": batched}
    cells = first_line(make_row(INT8, metrics, family))
    assert cells["perplexity in batches"] == "1.0101"


def test_a_variant_that_was_not_scored_in_batches_as_well_has_a_dash():
    export = beside(EXPORT, {"perplexity": BATCHED["perplexity"]})
    assert first_line(export, beside(more=BATCHED))["perplexity in batches"] == "–"


def test_where_none_was_scored_in_batches_as_well_there_is_no_such_column():
    assert "perplexity in batches" not in first_line(beside(EXPORT))


def test_only_variants_that_were_compared_have_a_line():
    parent = make_row("a/torch/fp32/cpu", {"perplexity": BATCHED["perplexity"], "quantised_share": single(0.0)})
    failed = make_row("a/torch/bf16/cpu", status="failed", reason="scoring: no")
    table = parent_table([parent, beside(), failed])
    assert table is not None
    assert [line[0] for line in table.lines] == [f"`{INT8}`"]


def test_where_nothing_was_compared_there_is_no_table():
    assert parent_table([make_row("a/torch/fp32/cpu", BATCHED)]) is None
