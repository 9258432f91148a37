from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.selection.limits import Limit, parse_limit


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("perplexity <= 30", Limit("perplexity", "<=", 30.0)),
        ("decode_tokens_per_second >= 12.5", Limit("decode_tokens_per_second", ">=", 12.5)),
        ("peak_memory_bytes<=5e8", Limit("peak_memory_bytes", "<=", 5e8)),
        ("  load_seconds  <=  1  ", Limit("load_seconds", "<=", 1.0)),
    ],
)
def test_a_limit_is_a_metric_a_comparison_and_a_number(text, limit):
    assert parse_limit(text) == limit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "perplexity",
        "perplexity < 30",
        "perplexity <= ",
        "30 >= perplexity",
        "speed >= 3",
        "peak_memory_bytes <= 500 MiB",
        "perplexity <= 1e",
        "perplexity <= 1-2",
        "perplexity <= nan",
    ],
)
def test_anything_else_is_an_error_that_says_what_was_expected(text):
    with pytest.raises(ValueError, match=r"expected 'METRIC <= NUMBER' or 'METRIC >= NUMBER' with a known metric"):
        parse_limit(text)


@pytest.mark.parametrize(("value", "met"), [(29.9, True), (30.0, True), (30.1, False)])
def test_an_upper_limit_is_met_up_to_its_bound(value, met):
    assert parse_limit("perplexity <= 30").met_by(value) is met


@pytest.mark.parametrize(("value", "met"), [(29.9, False), (30.0, True), (30.1, True)])
def test_a_lower_limit_is_met_from_its_bound_on(value, met):
    assert parse_limit("decode_tokens_per_second >= 30").met_by(value) is met


@given(st.integers(0, 10**12))
def test_a_limit_that_is_shown_names_the_very_same_bound(bound):
    limit = Limit("peak_memory_bytes", "<=", float(bound))
    assert parse_limit(str(limit)) == limit
