"""The bootstrap: rounds and documents drawn again with replacement, and the metrics of what was drawn.

After Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 6. One draw holds for all subjects at once,
so that what is paired stays paired: the same documents are hard for all, the same rounds slow for all (chapter 8).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST = 6
"""Of fewer rounds or documents, draws are too much alike to tell how far what was measured can be trusted."""

Floats = NDArray[np.float64]
Indexes = NDArray[np.intp]


def draw(units: int, replicates: int, generator: np.random.Generator) -> Indexes:
    """Which of ``units`` rounds or documents are in each replicate: replicates × units. Raises ValueError for none."""
    if units < 1:
        raise ValueError("nothing to draw from")
    return generator.integers(units, size=(replicates, units), dtype=np.intp)


def drawn_ratios(totals: Floats, weights: Floats, drawn: Indexes) -> Floats:
    """sum(totals) / sum(weights) over the documents drawn: subjects × replicates, from subjects × documents.

    Not a number where a replicate drew no weight.
    """
    times = np.stack([np.bincount(each, minlength=totals.shape[1]) for each in drawn]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((totals @ times.T) / (weights @ times.T), dtype=np.float64)


def drawn_medians(readings: Floats, drawn: Indexes) -> Floats:
    """The median of the rounds drawn: subjects × replicates, from subjects × rounds."""
    ordered = np.sort(readings[:, drawn], axis=-1)
    rounds = drawn.shape[1]
    return np.asarray((ordered[..., (rounds - 1) // 2] + ordered[..., rounds // 2]) / 2, dtype=np.float64)
