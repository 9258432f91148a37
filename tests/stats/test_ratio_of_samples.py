from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.shift import ratio_estimate

READINGS = st.lists(st.floats(1.0, 100.0), min_size=4, max_size=9)


def test_a_sample_that_is_twice_another_has_a_ratio_of_two_within_its_interval():
    found = ratio_estimate([10.0, 10.2, 9.8, 10.1, 9.9, 10.0], [20.0, 20.4, 19.6, 20.2, 19.8, 20.0])
    assert found.value == pytest.approx(2.0, rel=0.01)
    assert found.low < 2.0 < found.high


@given(READINGS, READINGS)
def test_the_inverse_comparison_has_the_inverse_ratio_and_interval(base, new):
    one, other = ratio_estimate(base, new), ratio_estimate(new, base)
    assert one.value == pytest.approx(1 / other.value)
    assert (one.low, one.high) == (pytest.approx(1 / other.high), pytest.approx(1 / other.low))


@given(READINGS, st.randoms())
def test_the_order_of_readings_does_not_matter(base, random):
    shuffled = random.sample(base, len(base))
    assert ratio_estimate(base, [2.0, 3.0, 4.0, 5.0]) == ratio_estimate(shuffled, [2.0, 3.0, 4.0, 5.0])


def test_three_readings_of_each_give_no_interval():
    assert ratio_estimate([1.0] * 3, [2.0] * 3).low is None


@pytest.mark.parametrize(("base", "new"), [([0.0, 1.0], [1.0]), ([1.0], [-1.0]), ([], [1.0])])
def test_readings_without_a_ratio_are_refused(base, new):
    with pytest.raises(ValueError, match=r"ratio|no readings"):
        ratio_estimate(base, new)
