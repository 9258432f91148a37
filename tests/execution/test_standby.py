"""Workers that stay, as real processes with a real, tiny model."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tiny import TINY

from harness.candidates.catalogue import Candidate
from harness.candidates.checkpoint import Checkpoint
from harness.corpora.corpus import Corpus
from harness.engines.base import Setup
from harness.errors import HarnessError
from harness.execution.local import LocalExecutor
from harness.execution.orders import Prepared, WorkOrder
from harness.execution.standby import Standby
from harness.items.questionnaire import Questionnaire
from harness.quality.family import Scoring
from harness.speed.timing import Timing

TIMING = Timing(prompt_tokens=16, new_tokens=8, batch_size=2, warmup_seconds=0.05)


@pytest.fixture(scope="module")
def orders(tiny_checkpoints: dict[str, Checkpoint], corpus: Corpus, tmp_path_factory) -> dict[str, WorkOrder]:
    """What a worker needs to time a tiny model of each family with torch."""

    def order(family: str) -> WorkOrder:
        checkpoint = tiny_checkpoints[family]
        return WorkOrder(
            kind="time",
            candidate=Candidate("tiny", TINY[family]),
            engine="torch",
            setup=Setup("fp32"),
            cache_dir=tmp_path_factory.mktemp("cache"),
            offline=True,
            corpus_name=corpus.name,
            corpus_hash=corpus.hash,
            documents=(),
            questions=Questionnaire(),
            prompt_text=corpus.splits["validation"][0].text,
            sample_prompt="The",
            sample_tokens=4,
            scoring=Scoring(),
            timing=TIMING,
            prepared=Prepared(checkpoint, checkpoint.path),
        )

    return {family: order(family) for family in tiny_checkpoints}


@pytest.fixture(scope="module")
def executor() -> LocalExecutor:
    return LocalExecutor(threads=1, offline=True)


@pytest.fixture
def start(executor: LocalExecutor, orders: dict[str, WorkOrder]) -> Iterator:
    """Start a worker; whatever it does, it is gone after the test."""
    started: list[Standby] = []

    def begin(order: WorkOrder = orders["causal"], slower: float | None = None, deadline: float = 60.0) -> Standby:
        started.append(executor.stand_by(order, slower, deadline))
        return started[-1]

    yield begin
    for worker in started:
        worker.kill()


def pid_of(worker: Standby) -> int:
    assert worker._process.pid is not None
    return worker._process.pid


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# a worker that does what it should


def test_a_worker_says_what_loading_took(start):
    opened = start().open()
    assert 0 < opened.load_seconds < 30
    assert 0 < opened.pass_seconds < 30
    assert opened.peak_resident_bytes is None or opened.peak_resident_bytes >= 0


@pytest.mark.parametrize(
    ("family", "steps"),
    [
        ("causal", {"prefill": 1, "decode": 7}),
        ("seq2seq", {"prefill": 1, "decode": 7}),
        ("masked", {"encode": 1, "encode_batch": 1}),
    ],
)
def test_a_turn_has_the_passes_that_were_asked_for(start, orders, family, steps):
    worker = start(orders[family])
    worker.open()
    passes = worker.turn(3)
    assert [{part: len(seconds) for part, seconds in each.items()} for each in passes] == [steps] * 3
    assert all(second > 0 for each in passes for seconds in each.values() for second in seconds)


def test_turns_follow_each_other(start):
    worker = start()
    worker.open()
    assert [len(worker.turn(count)) for count in (1, 2, 1)] == [1, 2, 1]


def test_workers_are_open_side_by_side(start):
    one, other = start(), start()
    one.open()
    other.open()
    assert len(other.turn(1)) == len(one.turn(1)) == 1
    assert pid_of(one) != pid_of(other)


def test_a_worker_that_waits_uses_no_cpu(start):
    worker = start()
    worker.open()
    worker.turn(1)
    process = psutil.Process(pid_of(worker))
    before = sum(process.cpu_times()[:2])
    time.sleep(0.3)
    assert sum(process.cpu_times()[:2]) - before <= 0.05


def test_a_slowed_worker_takes_longer(start):
    """By 5 times, so that it shows on any machine."""
    plain, slowed = start(), start(slower=4.0)
    for worker in (plain, slowed):
        worker.open()
    fastest = [min(sum(each["decode"]) for each in worker.turn(10)) for worker in (plain, slowed)]
    assert fastest[1] > 2.5 * fastest[0]


def test_a_closed_worker_is_gone(start):
    worker = start()
    worker.open()
    pid, scratch = pid_of(worker), Path(worker._scratch.name)
    worker.close()
    assert not alive(pid)
    assert not scratch.exists()


@pytest.mark.parametrize("opened", [True, False])
def test_a_worker_may_be_killed_twice(start, opened):
    worker = start()
    if opened:
        worker.open()
    worker.kill()
    worker.kill()
    assert not alive(pid_of(worker))


# a worker that does not


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"prepared": None}, r"^nothing was prepared for tiny$"),
        ({"prompt_text": ""}, r"^the corpus gives no tokens to time with$"),
        ({"engine": "abacus"}, r"^.*abacus"),
        ({"timing": replace(TIMING, prompt_tokens=90)}, r"^90 \+ 8 tokens are more than the model's 96 positions$"),
    ],
)
def test_an_order_that_cannot_be_done_says_why(start, orders, changed, reason):
    worker = start(replace(orders["causal"], **changed))
    with pytest.raises(HarnessError, match=reason):
        worker.open()
    assert not alive(pid_of(worker))


def test_weights_that_are_gone_say_why_in_one_line(start, orders, tmp_path):
    checkpoint = orders["causal"].prepared.checkpoint
    worker = start(replace(orders["causal"], prepared=Prepared(checkpoint, tmp_path)))
    with pytest.raises(HarnessError) as error:
        worker.open()
    assert str(error.value)
    assert "\n" not in str(error.value)
    assert not alive(pid_of(worker))


def test_a_worker_that_hangs_while_loading_is_killed_at_its_deadline(start, orders):
    endless = replace(orders["causal"], timing=replace(TIMING, warmup_seconds=600.0))
    worker = start(endless, deadline=3.0)
    began = time.monotonic()
    with pytest.raises(HarnessError, match=r"^killed after 3 s$"):
        worker.open()
    assert time.monotonic() - began < 15
    assert not alive(pid_of(worker))


def test_a_worker_that_hangs_in_a_turn_is_killed_at_its_deadline(start):
    worker = start(deadline=20.0)
    worker.open()
    worker._deadline = 0.5
    os.kill(pid_of(worker), signal.SIGSTOP)
    with pytest.raises(HarnessError, match=r"^killed after 0\.5 s$"):
        worker.turn(1)
    assert not alive(pid_of(worker))


def test_a_worker_that_dies_in_a_turn_says_so(start):
    worker = start()
    worker.open()
    os.kill(pid_of(worker), signal.SIGSTOP)
    worker._connection.send(("turn", 1))
    os.kill(pid_of(worker), signal.SIGKILL)
    with pytest.raises(HarnessError, match=r"^died \(exit code -9\)$"):
        worker._answer()
    assert not alive(pid_of(worker))


@pytest.mark.parametrize("ask", [lambda worker: worker.turn(1), lambda worker: worker.close()], ids=["turn", "close"])
def test_a_worker_that_died_while_it_waited_says_so(start, ask):
    worker = start()
    worker.open()
    process = psutil.Process(pid_of(worker))
    process.kill()
    psutil.wait_procs([process], timeout=5)
    with pytest.raises(HarnessError, match="died"):
        ask(worker)


def test_closing_a_worker_that_was_killed_says_so(start):
    worker = start()
    worker.open()
    worker.kill()
    with pytest.raises(HarnessError, match="died"):
        worker.close()


def test_a_worker_ends_when_nobody_listens_any_more(start):
    worker = start()
    worker.open()
    process = psutil.Process(pid_of(worker))
    worker._connection.close()
    psutil.wait_procs([process], timeout=5)
    assert not alive(process.pid)
