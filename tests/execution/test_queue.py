from __future__ import annotations

import pytest

from harness.execution.plan import Kind, Task
from harness.execution.queue import Queue
from harness.records.record import Subject


def task(name: str, kind: Kind, *needs: str) -> Task:
    return Task(kind, None, Subject(name, name, "causal", "random"), name, needs)


PLAN = (
    task("candidate a", "candidate"),
    task("candidate b", "candidate"),
    task("variant a", "variant", "candidate a"),
    task("variant b", "variant", "candidate b"),
    task("score a", "score", "candidate a", "variant a"),
    task("score b", "score", "candidate b", "variant b"),
    task("limits", "limits"),
    task("time a", "time", "candidate a", "variant a"),
    task("time b", "time", "candidate b", "variant b"),
)
BY_NAME = {each.hash: each for each in PLAN}


def names(queue: Queue) -> list[str]:
    """The tasks that may begin now."""
    begun = []
    while (found := queue.next()) is not None:
        begun.append(found.hash)
    return begun


def end(queue: Queue, *names: str) -> None:
    for name in names:
        queue.end(BY_NAME[name])


def test_one_at_a_time_tasks_go_in_the_order_of_the_plan():
    queue, order = Queue(PLAN), []
    while queue:
        found = queue.next()
        assert found is not None
        order.append(found.hash)
        queue.end(found)
    assert order == list(BY_NAME)


def test_what_needs_nothing_that_is_left_begins_at_once():
    queue = Queue(PLAN)
    assert names(queue) == ["candidate a", "candidate b"]
    end(queue, "candidate b")
    assert names(queue) == ["variant b"]
    end(queue, "variant b")
    assert names(queue) == ["score b"]


def test_timings_begin_when_all_else_has_ended_and_in_their_order():
    queue = Queue(PLAN)
    names(queue)
    end(queue, "candidate b", "candidate a")
    names(queue)
    end(queue, "variant b", "variant a")
    assert names(queue) == ["score a", "score b"]
    end(queue, "score b")
    assert names(queue) == []
    end(queue, "score a")
    assert names(queue) == ["limits", "time a", "time b"]


def test_a_task_that_is_put_back_waits_for_what_is_done_again_first():
    queue = Queue(PLAN[:5:2])
    for name in ("candidate a", "variant a"):
        assert names(queue) == [name]
        end(queue, name)
    assert names(queue) == ["score a"]
    queue.put_back(BY_NAME["score a"], BY_NAME["variant a"])
    assert names(queue) == ["variant a"]
    end(queue, "variant a")
    assert names(queue) == ["score a"]
    assert (queue.begun, queue.total) == (4, 4)


@pytest.mark.parametrize("known", [True, False])
def test_a_task_that_has_to_be_done_again_is_one_more(known: bool):
    """Whether it was done in this run or in one before."""
    queue = Queue([BY_NAME["limits"], BY_NAME["time a"]] if known else [BY_NAME["limits"]])
    assert names(queue)[0] == "limits"
    end(queue, *(["limits", "time a"] if known else ["limits"]))
    assert not queue
    queue.add_again(BY_NAME["time a"])
    assert queue
    assert names(queue) == ["time a"]
