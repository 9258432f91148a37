"""Rendering a large run: 500 variants and 100,000 samples, as Markdown with its plots and as HTML."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from harness.records.record import Fact, Record, Subject
from harness.records.run_folder import RunFolder, create_run
from harness.reporting.markdown import write_report
from harness.reporting.page.render import report_html
from harness.stats.intervals import clustered_ratio, exponential

CANDIDATES, DOCUMENTS, ROUNDS, READINGS = 50, 20, 6, 20
WAYS = [f"{engine}/{precision}" for engine in ("torch", "onnxruntime", "openvino", "llamacpp", "own")
        for precision in ("fp32", "int8")]  # fmt: skip
SCORED = {"perplexity": ("nll", "tokens"), "bits_per_byte": ("nll", "bytes"),
          "continuation_bits_per_byte": ("bits", "bytes"), "forced_choice_accuracy": ("correct", "items")}  # fmt: skip
TIMED = {"prefill_tokens_per_second": 5000.0, "decode_tokens_per_second": 300.0, "inter_token_seconds_p50": 0.003,
         "inter_token_seconds_p95": 0.004, "inter_token_seconds_p99": 0.005, "load_seconds": 0.2}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of 500 variants that were measured to their end; each has some noise of its own."""
    limits = ["peak_memory_bytes <= 100 MiB"]
    use_cases = [
        {"title": each, "families": ["causal"], "objective": each, "tie_breakers": ["load_seconds"], "limits": limits}
        for each in ("bits_per_byte", "decode_tokens_per_second")
    ]
    folder = create_run(tmp_path_factory.mktemp("runs"), "large", "large", {"suite": {"use_case": use_cases}})
    chance = random.Random(0)
    samples = 0
    with folder.store.path.open("w", encoding="utf-8") as stream:
        for number in range(CANDIDATES):
            for way in WAYS:
                for record in _variant(f"candidate-{number}/{way}/cpu", 1 + number / CANDIDATES, chance):
                    samples += len(record.fact.samples) if record.fact else 0
                    stream.write(record.to_json() + "\n")
    assert len(folder.records()) > 0
    assert samples >= 100_000
    return folder


def bench_markdown_with_plots(benchmark, run: RunFolder, tmp_path: Path) -> None:
    """The aim is 3 s."""
    benchmark.pedantic(write_report, (run, tmp_path / "report.md"), rounds=3)
    assert (tmp_path / "report.md").read_text(encoding="utf-8").count("candidate-49/own/int8/cpu") > 3


def bench_html(benchmark, run: RunFolder) -> None:
    """The aim is 6 s."""
    assert "candidate-49/own/int8/cpu" in benchmark.pedantic(report_html, (run,), rounds=3)


def _variant(name: str, size: float, chance: random.Random) -> list[Record]:
    candidate, engine, precision, device = name.split("/")
    subject = Subject(name, candidate, "causal", "trained", engine, precision, device, candidate, "tokenizer")

    def near(value: float) -> float:
        return value * chance.uniform(0.9, 1.1)

    facts = [Fact("parameters", value=size * 1e6), Fact("weights_bytes", value=near(size * 4e6)),
             Fact("peak_memory_bytes", value=near(size * 8e7))]  # fmt: skip
    for metric, (total, weight) in SCORED.items():
        sums = [{"document": d, total: near(40 * size), weight: 100.0} for d in range(DOCUMENTS)]
        estimate = clustered_ratio([each[total] for each in sums], [each[weight] for each in sums])
        facts.append(Fact.of(metric, exponential(estimate) if metric == "perplexity" else estimate, sums, {}))
    records = _task("score", subject, facts) + _task("memory", subject, [])
    for number in range(ROUNDS):
        timed = []
        for metric, value in TIMED.items():
            readings = [near(value / size if "per_second" in metric else value * size) for _ in range(READINGS)]
            timed.append(Fact(metric, value=sorted(readings)[READINGS // 2], samples=readings))
        records += _task("time", subject, timed, number)
    return records


def _task(kind: str, subject: Subject, facts: list[Fact], number: int | None = None) -> list[Record]:
    task = f"{kind} {subject.variant} {number}"
    told = [Record("large", task, kind, subject, "ok", "env", fact, round=number) for fact in facts]
    return [*told, Record("large", task, kind, subject, "ok", "env", facts=len(facts), round=number)]
