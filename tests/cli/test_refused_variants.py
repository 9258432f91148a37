"""Variants that an engine cannot run: skipped with the reason in a real run, and told by ``list engines``."""

from __future__ import annotations

import json

import pytest

from harness.engines.catalogue import engine_kinds
from harness.records.run_folder import find_runs

REASON = engine_kinds()["llamacpp"].refusal("seq2seq", "int8", "cpu") or ""


@pytest.fixture(scope="module")
def refused(harness, workplace):
    """A run of one variant that runs and one that llama.cpp has no graph for."""
    suite = (workplace / "tiny.toml").read_text(encoding="utf-8")
    suite = suite.replace('variants = ["torch/fp32", "onnxruntime/int8"]', 'variants = ["torch/fp32", "llamacpp/int8"]')
    (workplace / "refused.toml").write_text(suite.replace("rounds = 2", "rounds = 1"), encoding="utf-8")
    return harness("run", "--suite", "refused.toml", "--only", "tiny-t5", "--json", "--runs-dir", "refused")


@pytest.mark.slow
def test_a_variant_that_its_engine_refuses_is_skipped_with_the_reason(refused):
    assert refused.returncode == 0, refused.stderr
    rows = {row["variant"]: row for row in json.loads(refused.stdout)}
    assert rows["tiny-t5/torch/fp32/cpu"]["status"] == "ok"
    skipped = rows["tiny-t5/llamacpp/int8/cpu"]
    assert (skipped["status"], skipped["reason"]) == ("skipped", REASON)


@pytest.mark.slow
def test_the_report_lists_what_was_skipped_with_the_reason(refused, workplace):
    text = (find_runs(workplace / "refused")[-1].path / "report.md").read_text(encoding="utf-8")
    assert f"| `tiny-t5/llamacpp/int8/cpu` | skipped | {REASON} |" in " ".join(text.split(" ")).replace("  ", " ")


@pytest.mark.slow
def test_the_limits_of_the_machine_are_measured_once_and_not_again_on_resuming(refused, harness, workplace):
    def measured() -> list[str]:
        records = find_runs(workplace / "refused")[-1].store.read()
        return [record.subject.variant for record in records if record.kind == "limits" and record.fact is None]

    assert measured() == ["machine/cpu"]
    again = harness("run", "--suite", "refused.toml", "--only", "tiny-t5", "--json", "--runs-dir", "refused")
    assert again.stdout == refused.stdout
    assert measured() == ["machine/cpu"]


def test_engines_are_listed_with_what_they_cannot_run(harness):
    lacks = {line["engine"]: line["cannot_run"] for line in json.loads(harness("list", "engines", "--json").stdout)}
    assert lacks == {name: dict(kind.lacks) for name, kind in engine_kinds().items()}
    text = " ".join(harness("list", "engines").stdout.split())
    told = [f"{name} {pattern}: {reason}" for name, found in lacks.items() for pattern, reason in found.items()]
    assert told
    assert [each for each in told if each not in text] == []
