"""Plans of suites whose variants ask for kinds of machine."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.execution.plan import Plan, make_plan
from harness.records.environment import Environment, snapshot
from harness.suites.loader import check_suite

SMALL, LARGE = "gpt2-mini/torch/fp32/cpu@small", "gpt2-mini/torch/fp32/cpu@large"


@pytest.fixture(scope="module")
def environment() -> Environment:
    return snapshot(threads=2)


@pytest.fixture
def planned(corpus, environment):
    def plan(*variants: str, skip=(), **patterns) -> Plan:
        table = {"candidates": ["gpt2-mini"], "variants": list(variants), "rounds": 2, "skip": list(skip)}
        return make_plan(check_suite(table, "mine.toml"), corpus, environment, **patterns)

    return plan


def tasks(plan: Plan, kind: str):
    return [task for task in plan.tasks if task.kind == kind]


def hashes(plan: Plan, variant: str) -> set[str]:
    return {task.hash for task in plan.tasks if task.subject.variant == variant}


def test_a_variant_is_named_with_its_kind_and_its_subject_says_it(planned):
    plan = planned("torch/fp32@small", "torch/fp32/cpu@large")
    assert plan.variants == (SMALL, LARGE)
    assert [task.subject.machine for task in tasks(plan, "variant")] == ["small", "large"]
    assert {task.subject.device for task in tasks(plan, "time")} == {"cpu"}


def test_candidates_are_prepared_once_for_all_kinds_and_variants_on_each(planned):
    plan = planned("torch/fp32@small", "torch/fp32@large")
    (candidate,) = tasks(plan, "candidate")
    small, large = tasks(plan, "variant")
    assert small.needs == large.needs == (candidate.hash,)
    assert candidate.subject.machine == ""


def test_all_tasks_of_a_variant_have_their_kind_in_their_hash(planned):
    plan = planned("torch/fp32", "torch/fp32@small", "torch/fp32@large")
    named = [hashes(plan, name) for name in ("gpt2-mini/torch/fp32/cpu", SMALL, LARGE)]
    assert {len(each) for each in named} == {1 + 1 + 1 + 2 * 2}
    assert len(set.union(*named)) == 3 * len(named[0])


def test_a_variant_without_a_kind_keeps_its_hashes_beside_others_that_have_one(planned):
    alone, beside = planned("torch/fp32"), planned("torch/fp32", "torch/fp32@small")
    name = "gpt2-mini/torch/fp32/cpu"
    assert hashes(alone, name) == hashes(beside, name)
    assert hashes(alone, "machine/cpu") == hashes(beside, "machine/cpu")


def test_each_kind_of_machine_is_measured_at_its_limit_once(planned):
    limits = tasks(planned("torch/fp32@small", "onnxruntime/fp32@small", "torch/fp32@large", "torch/bf16"), "limits")
    assert [task.subject.variant for task in limits] == ["machine/cpu@small", "machine/cpu@large", "machine/cpu"]
    assert [task.subject.machine for task in limits] == ["small", "large", ""]
    assert len({task.hash for task in limits}) == 3


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*@small", {SMALL}),
        ("gpt2-*", {SMALL, LARGE, "gpt2-mini/onnxruntime/fp32/cpu@large"}),
        ("*/onnxruntime/*", {"gpt2-mini/onnxruntime/fp32/cpu@large"}),
        ("gpt2-mini/torch", {SMALL, LARGE}),
        ("gpt2-mini/torch/fp32/cpu", {SMALL, LARGE}),
        (SMALL, {SMALL}),
    ],
)
def test_patterns_name_kinds_or_fit_all_of_them(planned, pattern, left):
    every = ("torch/fp32@small", "torch/fp32@large", "onnxruntime/fp32@large")
    assert set(planned(*every, only=[pattern]).variants) == left
    names = {SMALL, LARGE, "gpt2-mini/onnxruntime/fp32/cpu@large"}
    if names - left:
        assert set(planned(*every, skip=[pattern]).variants) == names - left


def test_what_this_machine_lacks_is_no_reason_against_another_kind(planned, monkeypatch):
    monkeypatch.setattr("harness.engines.catalogue.gpu_names", lambda: ())
    plan = planned("torch/fp32/cuda@large")
    assert [task.subject.variant for task in tasks(plan, "limits")] == ["machine/cuda@large"]


def test_what_an_engine_can_run_nowhere_is_refused_on_every_kind(planned):
    with pytest.raises(HarnessError, match="engine 'llamacpp' runs on cpu, not on cuda"):
        planned("llamacpp/fp32/cuda@large")
