"""Budgets of memory and time, kept on real workers."""

from __future__ import annotations

import importlib.util

import hungry_tasks
import pytest

from harness.execution.executor import Result
from harness.execution.local import LocalExecutor
from harness.execution.memory_limit import MemoryLimit
from harness.suites.schema import Suite

LIMIT = MemoryLimit(256 * hungry_tasks.MIB, "memory_limits.score")
REASON = "needs more memory than the 256 MiB of memory_limits.score: "


@pytest.fixture(scope="module")
def executor() -> LocalExecutor:
    return LocalExecutor(threads=1, offline=True, perform=hungry_tasks.perform)


def run(executor: LocalExecutor, order: str, memory: MemoryLimit | None = LIMIT) -> Result:
    return executor.run(order, 120, lambda share, word: None, memory=memory)


@pytest.mark.parametrize("way", ["python", "numpy", "torch", "onnxruntime", "openvino"])
def test_a_task_over_its_memory_limit_ends_with_a_reason_that_names_the_setting(executor: LocalExecutor, way: str):
    if way == "openvino" and importlib.util.find_spec(way) is None:
        pytest.skip("needs openvino")
    result = run(executor, f"{way} 600")
    assert (result.status, result.outcome) == ("out-of-memory", None)
    assert result.reason.startswith(REASON), result.reason
    assert len(result.reason) > len(REASON)


@pytest.mark.parametrize("way", ["python", "numpy", "torch", "onnxruntime"])
def test_a_task_within_its_memory_limit_is_left_alone(executor: LocalExecutor, way: str):
    assert run(executor, f"{way} 60").status == "ok"


def test_without_a_limit_the_same_task_ends_well(executor: LocalExecutor):
    assert run(executor, "torch 600", memory=None).status == "ok"


def test_the_executor_goes_on_after_a_task_that_was_over_its_limit(executor: LocalExecutor):
    run(executor, "numpy 600")
    assert run(executor, "numpy 60").status == "ok"


def test_a_worker_that_a_refusal_of_memory_aborts_is_out_of_memory(executor: LocalExecutor):
    result = run(executor, "aborting 0")
    assert (result.status, result.reason) == ("out-of-memory", REASON + "killed by SIGABRT")
    assert run(executor, "aborting 0", memory=None).status == "crashed"


def test_a_task_that_fails_otherwise_is_not_blamed_on_its_limit(executor: LocalExecutor):
    result = run(executor, "forgetful 60")
    assert (result.status, result.reason) == ("failed", "KeyError: 'a key'")


def test_a_gpu_without_memory_is_not_blamed_on_the_limit():
    said = "OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB"
    assert LIMIT.explain("out-of-memory", said, "unable to allocate") == ("out-of-memory", said)


@pytest.mark.parametrize("status", ["ok", "timeout", "skipped"])
def test_a_task_that_did_not_fail_is_not_blamed_on_its_limit(status):
    assert LIMIT.explain(status, "", "MemoryError") == (status, "")


def test_budgets_are_those_of_the_suite():
    table = {"candidates": ["gpt2-mini"], "variants": ["torch/fp32"], "memory_limits": {"score": "1.5 GiB", "time": 7}}
    limits = Suite.model_validate(table).memory_limits
    assert (limits.prepare, limits.score, limits.time) == (None, 1536 * hungry_tasks.MIB, 7)
