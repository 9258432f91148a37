from __future__ import annotations

import re

import pytest
from builders import scored, single, timed
from hypothesis import given
from hypothesis import strategies as st

from harness.records.values import Value
from harness.selection.limits import Limit, full_name, parse_limit, reach, stands_alone
from harness.stats.intervals import Estimate

SPEED, MEMORY = "decode_tokens_per_second", "peak_memory_bytes"


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("perplexity <= 30", Limit("perplexity", "<=", 30.0)),
        ("decode_tokens_per_second >= 12.5", Limit(SPEED, ">=", 12.5)),
        ("peak_memory_bytes<=5e8", Limit(MEMORY, "<=", 5e8)),
        ("  load_seconds  <=  1  ", Limit("load_seconds", "<=", 1.0)),
    ],
)
def test_a_limit_is_a_metric_a_comparison_and_a_number(text, limit):
    assert parse_limit(text) == limit


@pytest.mark.parametrize(
    ("text", "metric", "bound"),
    [
        ("peak_memory_bytes <= 1 GiB", MEMORY, 2**30),
        ("peak_memory_bytes <= 1.5GB", MEMORY, 1.5e9),
        ("weights_bytes <= 300 MiB", "weights_bytes", 300 * 2**20),
        ("load_seconds <= 500 ms", "load_seconds", 0.5),
        ("inter_token_seconds_p95 <= 70 µs", "inter_token_seconds_p95", 7e-5),
        ("load_seconds <= 2 min", "load_seconds", 120),
        ("cloze_accuracy >= 30 %", "cloze_accuracy", 0.3),
        ("cloze_accuracy >= 7%", "cloze_accuracy", 0.07),
        ("parameters <= 100 M", "parameters", 1e8),
        ("parameters <= 1.5 B", "parameters", 1.5e9),
        ("decode_tokens_per_second >= 20 tokens/s", SPEED, 20),
        ("bits_per_byte <= 1.2 bits/byte", "bits_per_byte", 1.2),
        ("decode_joules_per_token <= 30 mJ/token", "decode_joules_per_token", 0.03),
    ],
)
def test_an_amount_may_be_given_in_another_unit_than_the_metrics(text, metric, bound):
    found = parse_limit(text)
    assert (found.metric, found.bound) == (metric, bound)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("peak_memory", MEMORY),
        ("decode", SPEED),
        ("load", "load_seconds"),
        ("weights", "weights_bytes"),
        ("encode_batch", "encode_batch_tokens_per_second"),
        ("time_to_first_token", "time_to_first_token_seconds"),
        ("perplexity", "perplexity"),
    ],
)
def test_a_metric_may_be_named_without_its_unit(name, metric):
    assert full_name(name) == metric


@pytest.mark.parametrize(
    "text",
    ["", "perplexity", "perplexity < 30", "perplexity <= ", "30 >= perplexity", "perplexity <= 1-2", "a b <= 3",
     "perplexity <= nan", "perplexity <= GiB"],
)  # fmt: skip
def test_anything_else_is_an_error_that_says_what_was_expected(text):
    with pytest.raises(ValueError, match=r"expected 'METRIC <= NUMBER' or 'METRIC >= NUMBER', such as 'peak_memory"):
        parse_limit(text)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("peak_memry", "unknown metric 'peak_memry' (did you mean 'peak_memory'?)"),
        ("decode_tokens_per_secnd", "(did you mean 'decode_tokens_per_second'?)"),
        ("xyz", "unknown metric 'xyz'; see: harness list metrics"),
        ("training_loss", "'training_loss' is a metric, but of no variant"),
    ],
)
def test_an_unknown_metric_suggests_the_nearest(name, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_limit(f"{name} >= 3")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("load_seconds <= 5 MiB", "expected an amount of load_seconds in s, ms, us, µs, min, not '5 MiB'"),
        ("perplexity <= 30 %", "expected an amount of perplexity without a unit, not '30 %'"),
        ("peak_memory <= 1e999", "expected a finite number, not '1e999'"),
    ],
)
def test_an_amount_that_fits_no_unit_of_the_metric_says_which_do(text, problem):
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        parse_limit(text)


@pytest.mark.parametrize(("value", "met"), [(29.9, True), (30.0, True), (30.1, False)])
def test_an_upper_limit_is_met_up_to_its_bound(value, met):
    assert parse_limit("perplexity <= 30").met_by(value) is met


@pytest.mark.parametrize(("value", "met"), [(29.9, False), (30.0, True), (30.1, True)])
def test_a_lower_limit_is_met_from_its_bound_on(value, met):
    assert parse_limit("decode_tokens_per_second >= 30").met_by(value) is met


@given(st.integers(0, 10**12))
def test_a_limit_that_is_shown_names_the_very_same_bound(bound):
    limit = Limit(MEMORY, "<=", float(bound))
    assert parse_limit(str(limit)) == limit


@pytest.mark.parametrize(
    ("limit", "standing"),
    [
        ("decode <= 103", "met"),
        ("decode <= 102.9", "uncertain"),
        ("decode <= 97", "uncertain"),
        ("decode <= 96.9", "missed"),
        ("decode >= 97", "met"),
        ("decode >= 97.1", "uncertain"),
        ("decode >= 103", "uncertain"),
        ("decode >= 103.1", "missed"),
    ],
)
def test_the_interval_of_a_value_decides_how_it_stands(limit, standing):
    readings = [97.0, 98.0, 100.0, 100.0, 101.0, 103.0]
    assert parse_limit(limit).standing(timed(readings)) == standing


@pytest.mark.parametrize(("bound", "standing"), [(94e6, "missed"), (96e6, "uncertain"), (106e6, "met")])
def test_a_single_reading_of_memory_is_good_to_five_per_cent(bound, standing):
    assert Limit(MEMORY, "<=", bound).standing(single(100e6)) == standing


@pytest.mark.parametrize(("bound", "standing"), [(99.0, "missed"), (100.0, "met")])
def test_a_size_is_exact(bound, standing):
    assert Limit("weights_bytes", "<=", bound).standing(single(100.0)) == standing
    assert not stands_alone(single(100.0))


@pytest.mark.parametrize(("bound", "standing"), [(99.0, "met"), (101.0, "missed")])
def test_too_few_rounds_let_the_value_decide_and_are_told(bound, standing):
    value = timed([100.0, 50.0, 150.0])
    assert Limit(SPEED, ">=", bound).standing(value) == standing
    assert stands_alone(value)


def test_one_document_stands_alone():
    assert stands_alone(scored("perplexity", [300.0]))
    assert not stands_alone(scored("perplexity", [300.0, 310.0]))


@given(
    st.floats(1, 100), st.floats(0, 50), st.floats(0, 50), st.sampled_from(["<=", ">="]), st.floats(1, 100),
    st.floats(0, 50),
)  # fmt: skip
def test_a_tighter_limit_is_never_kept_by_what_missed_a_looser_one(value, below, above, comparison, bound, tighter):
    found = Value(Estimate(value, value - below, value + above, 6, ""))
    order = ["missed", "uncertain", "met"]
    moved = bound - tighter if comparison == "<=" else bound + tighter
    loose, tight = (Limit(SPEED, comparison, each).standing(found) for each in (bound, moved))
    assert order.index(tight) <= order.index(loose)
    assert reach(found, SPEED)[0] <= value <= reach(found, SPEED)[1]
