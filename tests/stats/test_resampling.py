from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.intervals import median
from harness.stats.resampling import draw, drawn_medians, drawn_ratios


def test_every_replicate_draws_as_many_as_there_are_from_all_of_them():
    drawn = draw(5, 2000, np.random.default_rng(0))
    assert drawn.shape == (2000, 5)
    assert np.bincount(drawn.ravel(), minlength=5) / 10_000 == pytest.approx([0.2] * 5, abs=0.02)


def test_the_same_seed_draws_the_same():
    one, other = (draw(6, 10, np.random.default_rng(7)) for _ in range(2))
    assert (one == other).all()


def test_there_must_be_something_to_draw_from():
    with pytest.raises(ValueError, match="nothing to draw from"):
        draw(0, 10, np.random.default_rng(0))


readings = st.lists(st.lists(st.floats(1, 100), min_size=5, max_size=5), min_size=1, max_size=4)


@given(readings, st.integers(0, 100))
def test_a_median_is_that_of_what_was_drawn(rows, seed):
    drawn = draw(5, 8, np.random.default_rng(seed))
    found = drawn_medians(np.array(rows), drawn)
    for at, row in enumerate(rows):
        for replicate, which in enumerate(drawn):
            assert found[at, replicate] == median([row[number] for number in which])


def test_a_median_of_an_even_number_is_the_mean_of_the_middle_two():
    assert drawn_medians(np.array([[1.0, 2.0, 10.0, 20.0]]), np.array([[0, 1, 2, 3]]))[0, 0] == 6.0


@given(readings, st.integers(0, 100))
def test_a_ratio_is_that_of_the_sums_of_what_was_drawn(rows, seed):
    totals, drawn = np.array(rows), draw(5, 8, np.random.default_rng(seed))
    weights = totals[:, ::-1] + 1
    found = drawn_ratios(totals, weights, drawn)
    for at in range(len(rows)):
        for replicate, which in enumerate(drawn):
            assert found[at, replicate] == pytest.approx(totals[at, which].sum() / weights[at, which].sum())


def test_the_spread_of_resampled_means_is_the_standard_error():
    """Of n values, drawn again, the mean strays by their standard deviation over the square root of n."""
    values = np.random.default_rng(1).normal(10, 2, size=40)
    found = drawn_ratios(values[None, :], np.ones((1, 40)), draw(40, 20_000, np.random.default_rng(2)))
    assert found.std() == pytest.approx(values.std() / np.sqrt(40), rel=0.03)
