"""A session that is slower by a known share."""

from __future__ import annotations

import time

import numpy as np
import pytest

from harness.engines.base import Session, SessionFacts, Weights
from harness.speed.extra_work import SlowedSession

IDS = np.arange(4)


class Ticking:
    """A clock that moves by a millisecond whenever it is read: extra work takes as long as it is looked for."""

    def __init__(self) -> None:
        self.now, self.reads = 0.0, 0

    def __call__(self) -> float:
        self.now += 0.001
        self.reads += 1
        return self.now


class Steady:
    """A session whose every call takes a second of its clock."""

    def __init__(self, clock) -> None:
        self.clock, self.heard = clock, []
        self.facts = SessionFacts("causal", 10, Weights(100), "cpu", 200)

    def _spend(self, *heard):
        self.heard.append(heard)
        self.clock.now += 1.0
        return np.full(10, float(len(self.heard)), dtype=np.float32)

    def score(self, ids, read, decoder_ids=None):
        yield self._spend("score")

    def prefill(self, ids, room):
        return self._spend("prefill", room)

    def step(self, token):
        return self._spend("step", token)

    def encode(self, ids):
        self._spend("encode")

    def close(self):
        self.heard.append(("close",))


CALLS = {
    "prefill": lambda session: session.prefill(IDS, 3),
    "step": lambda session: session.step(7),
    "encode": lambda session: session.encode(IDS[np.newaxis]),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("share", [0.02, 0.2, 1.0])
def test_each_call_takes_longer_by_the_share(call, share):
    clock = Ticking()
    CALLS[call](SlowedSession(Steady(clock), share, clock))
    assert clock.now == pytest.approx(1 + share, abs=0.01)


@pytest.mark.parametrize("call", CALLS)
def test_a_share_of_nothing_does_no_extra_work(call):
    clock = Ticking()
    CALLS[call](SlowedSession(Steady(clock), 0.0, clock))
    assert clock.reads == 3
    assert clock.now == pytest.approx(1, abs=0.01)


def test_scoring_is_not_slowed():
    clock = Ticking()
    (logits,) = SlowedSession(Steady(clock), 1.0, clock).score(IDS, IDS)
    assert logits[0] == 1
    assert clock.now == 1.0


def test_what_the_other_session_hears_and_answers_is_unchanged():
    inner = Steady(Ticking())
    session = SlowedSession(inner, 0.1, inner.clock)
    assert session.facts is inner.facts
    assert session.prefill(IDS, 3)[0] == 1
    assert session.step(7)[0] == 2
    session.close()
    assert inner.heard == [("prefill", 3), ("step", 7), ("close",)]


def test_it_is_a_session():
    assert isinstance(SlowedSession(Steady(Ticking()), 0.1, time.perf_counter), Session)


def test_extra_work_takes_real_time():
    class Sleeping(Steady):
        def step(self, token):
            time.sleep(0.02)
            return np.zeros(10, dtype=np.float32)

    session = SlowedSession(Sleeping(Ticking()), 0.5, time.perf_counter)
    used, began = time.process_time(), time.perf_counter()
    session.step(1)
    assert time.perf_counter() - began >= 0.03
    assert time.process_time() - used > 0
