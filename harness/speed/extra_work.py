"""A session that is slower by a known share, by real work: what a regression looks like, to see whether it is found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.engines.base import Ids, Logits, Session
from harness.speed.workloads import Clock

_SIZE = 64


class SlowedSession:
    """Another session whose prefill, steps and encodes each take longer by ``share`` of what they took.

    The extra time is spent on products of small vectors after the call, on the calling thread. A share of 0 does none,
    but has the cost of looking, so that arms differ in the work alone.
    """

    def __init__(self, session: Session, share: float, clock: Clock) -> None:
        self.facts = session.facts
        self._session, self._share, self._clock = session, share, clock
        self._vector = np.ones(_SIZE, dtype=np.float32)

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """As the other session, no slower: what is timed are the calls below."""
        return self._session.score(ids, read, decoder_ids)

    def prefill(self, ids: Ids, room: int) -> Logits:
        """As the other session, and some more work."""
        began = self._clock()
        logits = self._session.prefill(ids, room)
        self._work(began)
        return logits

    def step(self, token: int) -> Logits:
        """As the other session, and some more work."""
        began = self._clock()
        logits = self._session.step(token)
        self._work(began)
        return logits

    def encode(self, ids: Ids) -> None:
        """As the other session, and some more work."""
        began = self._clock()
        self._session.encode(ids)
        self._work(began)

    def close(self) -> None:
        """Give back the memory of the other session."""
        self._session.close()

    def _work(self, began: float) -> None:
        ended = self._clock()
        until = ended + self._share * (ended - began)
        while self._clock() < until:
            self._vector.dot(self._vector)
