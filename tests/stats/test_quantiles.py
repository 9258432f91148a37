from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from harness.stats.quantiles import Z95, t95


def test_z95_is_the_normal_quantile():
    assert pytest.approx(statistics.NormalDist().inv_cdf(0.975)) == Z95


@pytest.mark.parametrize("dof", [*range(1, 101), 1.001, 1.01, 1.05, 1.5, 2.5, 1000, 1e6])
def test_t95_is_the_quantile_of_scipy(dof):
    assert t95(dof) == pytest.approx(student.ppf(0.975, dof), rel=1e-5)


@given(st.floats(1, 1e5))
def test_t95_is_the_quantile_of_scipy_for_broken_degrees_of_freedom_too(dof):
    assert t95(dof) == pytest.approx(student.ppf(0.975, dof), rel=1e-5)


def test_one_and_two_degrees_of_freedom_have_closed_forms():
    """tan(0.475 pi) for the Cauchy distribution; 0.95 sqrt(2 / (1 - 0.95^2)) for two (Abramowitz & Stegun, 26.7.4)."""
    assert t95(1) == pytest.approx(math.tan(0.475 * math.pi))
    assert t95(2) == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)))


def test_more_degrees_of_freedom_come_down_to_the_normal_quantile():
    falling = [t95(dof) for dof in (1, 1.5, 2, 4, 9, 24, 61, 1000)]
    assert falling == sorted(falling, reverse=True)
    assert t95(1e7) == pytest.approx(Z95, rel=1e-6)


@pytest.mark.parametrize("dof", [0.99, 0.0, -1.0, math.nan])
def test_less_than_one_degree_of_freedom_is_an_error(dof):
    with pytest.raises(ValueError, match="at least one degree"):
        t95(dof)
