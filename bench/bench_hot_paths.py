"""Benches of the program's own hot paths: what the harness itself spends around a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.corpora.corruption import corrupt_spans, mask_tokens
from harness.quality.likelihood import token_nll
from harness.records.record import Fact, Record, Subject
from harness.records.rows import make_rows
from harness.records.store import RecordStore
from harness.stats.intervals import clustered_ratio, median_estimate
from harness.stats.paired import paired_ratio_difference
from harness.stats.verdicts import Rule, control_false_discoveries, judge

RULE = Rule(threshold=0.05, higher_is_better=False)


@pytest.fixture(autouse=True)
def one_thread():
    """A second thread would wait for a core that something else may be using."""
    torch.set_num_threads(1)


def _records(count: int) -> list[Record]:
    subject = Subject("m/torch/fp32/cpu", "m", "causal", "trained", "torch", "fp32", "cpu")
    fact = Fact(metric="decode_tokens_per_second", value=100.0, samples=[99.0, 100.0, 101.0])
    records = []
    for number in range(count):
        common = {"run": "r", "task": str(number), "kind": "time", "subject": subject, "status": "ok", "round": number}
        records.append(Record(**common, environment="e", fact=fact))
        records.append(Record(**common, environment="e", facts=1))
    return records


@pytest.mark.parametrize("vocabulary", [4096, 49152])
@pytest.mark.benchmark(group="scoring")
def bench_scoring_a_block_of_128(benchmark, vocabulary):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((127, vocabulary), dtype=np.float32)
    benchmark(token_nll, logits, rng.integers(vocabulary, size=127))


@pytest.mark.benchmark(group="corpora")
def bench_masking_a_block_of_128(benchmark):
    rng = np.random.default_rng(0)
    benchmark(mask_tokens, np.arange(126), rng, 0.15, 4, 4096)


@pytest.mark.benchmark(group="corpora")
def bench_corrupting_a_block_of_128(benchmark):
    rng = np.random.default_rng(0)
    benchmark(corrupt_spans, np.arange(128), rng, 0.15, 3.0, np.arange(4000, 4100), 1)


@pytest.mark.benchmark(group="records")
def bench_storing_a_record(benchmark, tmp_path: Path):
    store, record = RecordStore(tmp_path / "records.jsonl"), _records(1)[:1]
    benchmark(store.append, record)


@pytest.mark.benchmark(group="records")
def bench_reading_a_thousand_records(benchmark, tmp_path: Path):
    store = RecordStore(tmp_path / "records.jsonl")
    lines = "".join(record.to_json() + "\n" for record in _records(500))
    store.path.write_text(lines, encoding="utf-8")
    benchmark(lambda: make_rows(store.finished()))


@pytest.mark.benchmark(group="statistics")
def bench_an_interval_of_six_rounds(benchmark):
    benchmark(median_estimate, [1.0, 1.2, 0.9, 1.1, 1.05, 0.98])


@pytest.mark.benchmark(group="statistics")
def bench_an_interval_over_sixty_documents(benchmark):
    benchmark(clustered_ratio, [float(i) for i in range(1, 61)], [float(i % 7 + 1) for i in range(60)])


@pytest.mark.benchmark(group="statistics")
def bench_a_difference_paired_over_sixty_documents(benchmark):
    base, weights = [float(i) for i in range(1, 61)], [float(i % 7 + 1) for i in range(60)]
    benchmark(paired_ratio_difference, base, weights, base[::-1], weights)


@pytest.mark.benchmark(group="statistics")
def bench_a_verdict_on_twenty_blocks(benchmark):
    changes, noise = _blocks(20)
    benchmark(judge, changes, noise, RULE, 100.0)


@pytest.mark.benchmark(group="statistics")
def bench_the_verdicts_on_a_hundred_metrics(benchmark):
    changes, noise = _blocks(20)
    benchmark(control_false_discoveries, {number: judge(changes, noise, RULE, 100.0) for number in range(100)})


def _blocks(count: int) -> tuple[list[float], list[float]]:
    """Changes of a metric by 5 % with 2 % of noise, and that of base against itself."""
    rng = np.random.default_rng(0)
    return rng.normal(0.05, 0.02, count).tolist(), rng.normal(0.0, 0.02, count).tolist()
