from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.units import quantity, significant, with_interval


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
        (0.98, "fraction", "98.0%"),
        (0.0625, "fraction", "6.2%"),
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
    [(0.0, "0.0%"), (0.5, "50.0%"), (0.9894, "98.9%"), (0.99, "99.00%"), (0.99912, "99.91%"), (1.0, "100.0%")],
)
def test_a_share_has_one_decimal_and_two_where_it_nears_all(value, text):
    assert quantity(value, "fraction") == text


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (1036, 727, 1414, "tokens/s", "1,036 [727, 1,414] tokens/s"),
        (29.41, 28.5, 30.25, "perplexity", "29.4 [28.5, 30.2]"),
        (1.5, 1.25, 1.75, "", "1.500 [1.250, 1.750]"),
        (0.4, 0.3125, 0.45, "fraction", "40.0% [31.2%, 45.0%]"),
        (0.9951, 0.985, 1.0, "fraction", "99.51% [98.5%, 100.0%]"),
        (1.5, 0.5, 2.5, "s", "1.500 s [500 ms, 2.500 s]"),
        (2**20, 2**10, 2**30, "bytes", "1.000 MiB [1.000 KiB, 1.000 GiB]"),
    ],
)
def test_an_interval_is_shown_with_the_unit_once_unless_the_ends_differ_in_size(value, low, high, unit, text):
    assert with_interval(value, low, high, unit) == text


@pytest.mark.parametrize(("low", "high"), [(None, None), (5.0, None), (None, 5.0), (5.0, 5.0)])
def test_where_there_is_no_interval_the_value_stands_alone(low, high):
    assert with_interval(5.0, low, high, "tokens/s") == "5.000 tokens/s"
