from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.language.say import speaking
from harness.records.units import Scale, in_scale, quantity, scale_of, significant, with_interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3141592.6, "3,141,593"),
        (3141.59, "3,142"),
        (314.159, "314"),
        (31.4159, "31.4"),
        (3.14159, "3.142"),
        (0.314159, "0.314"),
        (0.0314159, "0.0314"),
        (0.0, "0"),
        (-31.4159, "-31.4"),
        (float("inf"), "inf"),
    ],
)
def test_a_number_is_shown_with_the_digits_that_fit_its_size(value, text):
    assert significant(value) == text


@pytest.mark.parametrize(("value", "text"), [(999.7, "1,000"), (99.96, "100"), (9.9996, "10.0")])
def test_a_number_that_is_rounded_up_to_the_next_size_is_shown_in_that_size(value, text):
    assert significant(value) == text


@given(st.floats(1e-3, 1e9))
def test_at_most_half_a_per_cent_is_lost_in_rounding(value):
    assert float(significant(value).replace(",", "")) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (512, "bytes", "512 B"),
        (2048, "bytes", "2.000 KiB"),
        (12.5 * 2**20, "bytes", "12.5 MiB"),
        (3 * 2**30, "bytes", "3.000 GiB"),
        (-2048, "bytes", "-2.000 KiB"),
        (2.5, "s", "2.500 s"),
        (0.0125, "s", "12.5 ms"),
        (4_200_000, "parameters", "4.200 M"),
        (0.98, "fraction", "98.0 %"),
        (0.0625, "fraction", "6.2 %"),
        (1.25, "bits/char", "1.250 bits/char"),
        (29.41, "perplexity", "29.4"),
        (21.5e9, "bytes/s", "21.5 GB/s"),
        (0.25e12, "op/s", "250 Gop/s"),
        (1.1e12, "op/s", "1.100 Top/s"),
        (0.0, "op", "0 op"),
        (1.234, "", "1.234"),
        (125.2, "tokens/s", "125 tokens/s"),
        (1.2345, "bits/byte", "1.234 bits/byte"),
    ],
)
def test_a_value_is_shown_in_a_size_that_fits_with_its_unit(value, unit, text):
    assert quantity(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0 %"), (0.5, "50.0 %"), (0.9894, "98.9 %"), (0.99, "99.00 %"), (0.99912, "99.91 %"), (1.0, "100.0 %")],
)
def test_a_share_has_one_decimal_and_two_where_it_nears_all(value, text):
    assert quantity(value, "fraction") == text


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (1036, 727, 1414, "tokens/s", "1,040 [730, 1,410] tokens/s"),
        (1036, 1033, 1039, "tokens/s", "1,036.0 [1,033.0, 1,039.0] tokens/s"),
        (29.41, 28.5, 30.25, "perplexity", "29.41 [28.50, 30.25]"),
        (1.5, 1.25, 1.75, "", "1.50 [1.25, 1.75]"),
        (0.4, 0.3125, 0.45, "fraction", "40.0 [31.2, 45.0] %"),
        (0.9951, 0.985, 1.0, "fraction", "99.51 [98.50, 100.00] %"),
        (21.5e9, 20.2e9, 22.9e9, "bytes/s", "21.5 [20.2, 22.9] GB/s"),
        (0.0, 0.0, 0.0345, "fraction", "0.0 [0.0, 3.5] %"),
    ],
)
def test_two_digits_of_half_the_interval_set_where_the_value_ends_too(value, low, high, unit, text):
    assert with_interval(value, low, high, unit) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (1.5, 0.5, 2.5, "s", "1.5 [0.5, 2.5] s"),
        (0.9, 0.8, 1.2, "s", "900 [800, 1,200] ms"),
        (3 * 2**30, 2.5 * 2**30, 3.5 * 2**30, "bytes", "3.00 [2.50, 3.50] GiB"),
        (512, 500, 524, "bytes", "512 [500, 524] B"),
    ],
)
def test_the_unit_stands_once_behind_the_interval_in_the_size_of_the_value(value, low, high, unit, text):
    assert with_interval(value, low, high, unit) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [(300, 20, 4500, "300 [20, 4,500]"), (0.5, 0, 100, "0.50 [0.00, 100.00]"), (30, 1, 2000, "30 [1, 2,000]")],
)
def test_a_value_in_a_wide_interval_keeps_two_digits(value, low, high, text):
    """By half the interval alone they would be rounded to nothing."""
    assert with_interval(value, low, high, "") == text


def test_however_narrow_an_interval_is_six_digits_are_enough():
    assert with_interval(math.pi, math.pi - 1e-12, math.pi + 1e-12, "") == "3.14159 [3.14159, 3.14159]"


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (1.234e-6, 0.9e-6, 1.5e-6, "1.23e-06 [9.0e-07, 1.50e-06]"),
        (1e-9, 0.0, 2e-9, "1.0e-09 [0, 2.0e-09]"),
        (0.1, -0.001, 0.2, "0.10 [0.00, 0.20]"),
        (math.inf, 1.0, math.inf, "inf [1.000, inf]"),
        (1.0, 0.0, math.inf, "1.000 [0, inf]"),
    ],
)
def test_tiny_negative_and_endless_ends_are_readable(value, low, high, text):
    assert with_interval(value, low, high, "") == text


@given(st.floats(1e-3, 1e9), st.floats(1e-6, 2.0), st.floats(1e-6, 2.0))
def test_rounding_loses_at_most_a_twentieth_of_half_the_interval(value, below, above):
    """Or, for narrow intervals, half a unit in the sixth digit of the value."""
    low, high = value * (1 - below), value * (1 + above)
    shown, ends = with_interval(value, low, high, "").replace(",", " ").split(" [")[0], (high - low) / 2
    allowed = max(ends / 20, value * 5e-6)
    assert float(shown.replace(" ", "")) == pytest.approx(value, abs=allowed * (1 + 1e-9))


@pytest.mark.parametrize(("low", "high"), [(None, None), (5.0, None), (None, 5.0), (5.0, 5.0)])
def test_where_there_is_no_interval_the_value_stands_alone(low, high):
    assert with_interval(5.0, low, high, "tokens/s") == "5.000 tokens/s"


@pytest.mark.parametrize(
    ("values", "unit", "scale"),
    [
        ([1.0, 3 * 2**20, 2.0**40], "bytes", Scale("MiB", 2.0**20)),
        ([3.0, 5.0], "bytes", Scale("B")),
        ([0.001, 0.3, 40.0], "s", Scale("ms", 1e-3)),
        ([0.001, 3.0, 40.0], "s", Scale("s")),
        ([2e9, 3e12, 5e12], "op/s", Scale("Top/s", 1e12)),
        ([0.5], "fraction", Scale("%", 0.01)),
        ([4e6], "parameters", Scale("M", 1e6)),
        ([30.0], "perplexity", Scale("")),
        ([30.0], "tokens/s", Scale("tokens/s")),
        ([], "bytes", Scale("B")),
        ([math.inf, 2.0**21], "bytes", Scale("MiB", 2.0**20)),
    ],
)
def test_the_middle_one_of_many_values_sets_their_size(values, unit, scale):
    assert scale_of(values, unit) == scale


def test_in_a_given_size_a_value_has_no_unit_and_its_ends_only_where_they_are_wanted():
    scale = Scale("MiB", 2.0**20)
    assert in_scale(3 * 2.0**20, 2 * 2.0**20, 4 * 2.0**20, scale) == "3.0 [2.0, 4.0]"
    assert in_scale(3 * 2.0**20, 2 * 2.0**20, 4 * 2.0**20, scale, ends=False) == "3.0"
    assert in_scale(2.0**30, None, None, scale) == "1,024"


def test_french_numbers_have_their_own_separators():
    with speaking("fr"):
        assert with_interval(1036.5, 1033.5, 1039.5, "") == "1\u202f036,5 [1\u202f033,5\u202f; 1\u202f039,5]"
