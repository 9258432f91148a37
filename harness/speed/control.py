"""A fixed workload that knows no model: if its time moved, so did the machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def control_seconds(clock: Callable[[], float], attempts: int = 20) -> float:
    """Seconds of reading 32 MB and of a matrix product of 512 x 512, the best of some attempts.

    Twenty take a tenth of a second; on a quiet machine their best stays within 7 %, that of three within 11 %.
    """
    memory = np.ones(8_000_000, dtype=np.float32)
    matrix = np.ones((512, 512), dtype=np.float32)
    best = float("inf")
    for _ in range(attempts):
        start = clock()
        memory.sum()
        matrix @ matrix
        best = min(best, clock() - start)
    return best
