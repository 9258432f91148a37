"""Quantiles of the reference distributions that 95 % intervals stand on."""

from __future__ import annotations

import math
from functools import lru_cache

Z95 = 1.959963984540054
"""A standard normal variable stays within ± this with a probability of 95 %."""

_STEPS = 64


@lru_cache(maxsize=1024)  # comparisons of one corpus ask for the same few
def t95(dof: float) -> float:
    """A Student t variable with ``dof`` degrees of freedom stays within ± this with a probability of 95 %.

    With t = sqrt(dof) tan(angle), that probability is proportional to the integral of cos(angle)^(dof - 1) from 0
    (substituted into its density; Abramowitz & Stegun, section 26.7, gives it term by term for whole ``dof``).
    Simpson's rule takes the integral, Newton's method finds the angle: the probability is concave in the angle and the
    normal quantile too small, so the steps rise to the root and never pass it. Good to 1e-5 of the value.
    Raises ValueError below one degree of freedom.
    """
    if not dof >= 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    scale = 2 / math.sqrt(math.pi) * math.exp(math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2))
    angle, change = math.atan(Z95 / math.sqrt(dof)), math.inf
    while change > 1e-9 * angle:
        width = angle / _STEPS
        density = [math.cos(step * width) ** (dof - 1) for step in range(_STEPS + 1)]
        integral = width / 3 * (density[0] + 4 * sum(density[1::2]) + 2 * sum(density[2:-1:2]) + density[-1])
        change = (0.95 / scale - integral) / density[-1]
        angle += change
    return math.sqrt(dof) * math.tan(angle)
