from __future__ import annotations

import dataclasses

import pytest

from harness.corpora.corpus import Corpus
from harness.errors import HarnessError
from harness.execution.plan import Plan, make_plan
from harness.records.environment import Environment, snapshot
from harness.suites.loader import check_suite, load_suite
from harness.suites.schema import Suite


@pytest.fixture(scope="module")
def environment() -> Environment:
    return snapshot(threads=2)


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite("cpu").suite


def _hashes(plan: Plan, kind: str) -> list[str]:
    return [task.hash for task in plan.tasks if task.kind == kind]


def test_teachers_are_prepared_before_their_students(suite, corpus, environment):
    plan = make_plan(suite, corpus, environment, only=["distilbert-mini"])
    assert [task.candidate.name for task in plan.tasks if task.kind == "candidate"] == ["bert-mini", "distilbert-mini"]


def test_every_round_times_every_variant_once_in_an_order_of_its_own(suite, corpus, environment):
    plan = make_plan(suite, corpus, environment)
    rounds = [[t.subject.variant for t in plan.tasks if t.kind == "time" and t.round == r] for r in range(suite.rounds)]
    assert all(sorted(order) == sorted(plan.variants) for order in rounds)
    assert len({tuple(order) for order in rounds}) == suite.rounds


def test_the_same_suite_gives_the_same_plan(suite, corpus, environment):
    assert make_plan(suite, corpus, environment) == make_plan(suite, corpus, environment)


def test_tasks_have_names_of_their_own(suite, corpus, environment):
    hashes = [task.hash for task in make_plan(suite, corpus, environment).tasks]
    assert len(set(hashes)) == len(hashes)


def test_other_timing_makes_new_timings_but_no_new_scores(suite, corpus, environment):
    other = suite.model_copy(update={"timing": suite.timing.model_copy(update={"new_tokens": 7})})
    before, after = make_plan(suite, corpus, environment), make_plan(other, corpus, environment)
    assert _hashes(before, "score") == _hashes(after, "score")
    assert not set(_hashes(before, "time")) & set(_hashes(after, "time"))


def test_another_machine_makes_everything_new(suite, corpus, environment):
    moved = dataclasses.replace(environment, cpu="another one")
    before, after = make_plan(suite, corpus, environment), make_plan(suite, corpus, moved)
    assert not {task.hash for task in before.tasks} & {task.hash for task in after.tasks}


def test_another_corpus_makes_new_scores(suite, corpus: Corpus, environment):
    other = Corpus("other", {**corpus.splits, "test": corpus.splits["validation"]})
    before, after = make_plan(suite, corpus, environment), make_plan(suite, other, environment)
    assert not set(_hashes(before, "score")) & set(_hashes(after, "score"))


@pytest.mark.parametrize("pattern", ["gpt2-mini", "gpt2-mini/*", "gpt2-mini/torch/fp32/cpu"])
def test_only_takes_names_and_beginnings_and_patterns(suite, corpus, environment, pattern: str):
    variants = make_plan(suite, corpus, environment, only=[pattern]).variants
    assert "gpt2-mini/torch/fp32/cpu" in variants
    assert all(variant.startswith("gpt2-mini/") for variant in variants)


def test_skip_leaves_out(suite, corpus, environment):
    variants = make_plan(suite, corpus, environment, skip=["*/torch/bf16/*"]).variants
    assert not [variant for variant in variants if "bf16" in variant]


def test_a_pattern_that_matches_nothing_is_an_error(suite, corpus, environment):
    with pytest.raises(HarnessError, match="'gpt3\\*' matches no variant"):
        make_plan(suite, corpus, environment, only=["gpt3*"])


def test_nothing_left_is_an_error(suite, corpus, environment):
    with pytest.raises(HarnessError, match="no variant is left"):
        make_plan(suite, corpus, environment, skip=["*"])


def test_a_suite_can_skip_by_itself(corpus, environment):
    table = {"candidates": ["gpt2-mini"], "variants": ["torch/fp32", "torch/bf16"], "skip": ["*/bf16/*"]}
    plan = make_plan(check_suite(table, "mine.toml"), corpus, environment)
    assert plan.variants == ("gpt2-mini/torch/fp32/cpu",)


def test_the_machine_is_measured_once_a_device_right_before_the_timings(suite, corpus, environment):
    tasks = make_plan(suite, corpus, environment).tasks
    (at,) = [index for index, task in enumerate(tasks) if task.kind == "limits"]
    assert tasks[at].subject.variant == "machine/cpu"
    assert tasks[at].candidate is None
    assert {task.kind for task in tasks[at + 1 :]} == {"load", "time"}
    assert not {"load", "time"} & {task.kind for task in tasks[:at]}


def test_a_round_loads_each_variant_from_disk_in_a_worker_of_its_own_before_it_times_it(suite, corpus, environment):
    measured = [task for task in make_plan(suite, corpus, environment).tasks if task.kind in ("load", "time")]
    for load, timed in zip(measured[::2], measured[1::2], strict=True):
        assert (load.kind, timed.kind) == ("load", "time")
        assert (load.subject, load.round) == (timed.subject, timed.round)


def test_a_device_that_no_variant_can_run_on_is_not_measured(corpus, environment):
    table = {"candidates": ["gpt2-mini"], "variants": ["torch/fp32", "llamacpp/fp32/cuda"]}
    plan = make_plan(check_suite(table, "mine.toml"), corpus, environment)
    assert [task.subject.device for task in plan.tasks if task.kind == "limits"] == ["cpu"]
