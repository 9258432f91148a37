"""What nodes do in place of a worker process, to test scheduling alone."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

from stub_tasks import performed

from harness.execution.executor import Result


def slowly(order: Any) -> Result:
    """A task that takes a while."""
    time.sleep(0.2)
    return performed(order)


def telling_devices(order: Any) -> Result:
    """A task whose record says which GPUs Ray lets it see."""
    done = performed(order)
    assert done.outcome is not None
    return replace(done, outcome=replace(done.outcome, conditions={"gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}))
