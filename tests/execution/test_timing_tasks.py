"""What the tasks of a round hand back, on a tiny real checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.candidates.catalogue import resolve
from harness.engines.base import Setup
from harness.errors import UnavailableError
from harness.execution.orders import Outcome, Prepared, WorkOrder
from harness.execution.work import perform
from harness.execution.worker import Channel
from harness.items.questionnaire import Questionnaire
from harness.quality.family import Scoring
from harness.speed import file_cache
from harness.speed.timing import Timing


@pytest.fixture
def run(tiny_checkpoints, tmp_path: Path):
    """Do a task of a round with the tiny causal checkpoint, on torch in fp32."""
    checkpoint = tiny_checkpoints["causal"]
    folder = Path(shutil.copytree(checkpoint.path, tmp_path / "prepared"))  # no other test has mapped these files

    def run(kind: str, **timing) -> Outcome:
        order = WorkOrder(
            kind=kind,
            candidate=resolve("gpt2-mini", {}),
            engine="torch",
            setup=Setup("fp32", "cpu", 1),
            cache_dir=tmp_path,
            offline=True,
            corpus_name="letters",
            corpus_hash="",
            documents=(),
            questions=Questionnaire(),
            prompt_text="The people of the town want peace and a good road to the market.",
            sample_prompt="",
            sample_tokens=1,
            scoring=Scoring(),
            timing=Timing(prompt_tokens=8, new_tokens=4, readings=1, reading_seconds=0.01, **timing),
            prepared=Prepared(checkpoint, folder),
        )
        return perform(order, Channel(lambda share, word: None, lambda: None))

    return run


def test_a_timing_says_what_it_saw_of_the_machine_beside_its_facts(run):
    outcome = run("time")
    assert {"disturbed", "measured", "warmup", "energy"} <= set(outcome.conditions)
    assert outcome.conditions["warmup"]["generation"]["passes"] >= 1
    assert outcome.conditions["measured"]["seconds"] > 0


def test_the_control_workload_is_timed_before_and_after_and_its_value_lies_between(run):
    (control,) = [fact for fact in run("time").facts if fact.metric == "control_seconds"]
    assert len(control.samples) == 2
    assert control.value == pytest.approx(sum(control.samples) / 2)


def test_a_sweep_is_one_fact_of_the_timing(run):
    facts = [fact for fact in run("time", sweep_prompt_tokens=(4, 12)).facts if fact.metric == "sweep"]
    assert [[point["prompt_tokens"] for point in fact.samples] for fact in facts] == [[4, 12]]


def test_a_variant_is_loaded_with_its_files_dropped_from_the_cache(run):
    outcome = run("load")
    if not outcome.facts:
        pytest.skip(outcome.conditions["load_cold"])
    (fact,) = outcome.facts
    assert fact.metric == "load_cold_seconds"
    assert fact.value > 0
    assert fact.protocol == {"file_cache": "dropped", "threads": 1}


def test_files_that_stay_in_the_cache_give_no_cold_load_but_a_reason(run, monkeypatch):
    def stay(files):
        raise UnavailableError("50 % of the files stayed in the file cache")

    monkeypatch.setattr(file_cache, "drop", stay)
    outcome = run("load")
    assert outcome.facts == []
    assert outcome.conditions == {"load_cold": "not available: 50 % of the files stayed in the file cache"}
