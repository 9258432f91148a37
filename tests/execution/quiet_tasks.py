"""Tasks that a quiet parent waits for, run in real worker processes."""

from __future__ import annotations

import time

from harness.execution.orders import Outcome
from harness.execution.worker import Channel


def perform(order: str, channel: Channel) -> Outcome:
    """Sleep or work for two seconds, or say when the task began."""
    if order == "begin":
        channel.progress(0.0, str(time.monotonic()))
        return Outcome([])
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        if order == "sleep":
            time.sleep(0.1)
    return Outcome([])
