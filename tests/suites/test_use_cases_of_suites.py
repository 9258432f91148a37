"""What a suite may say in [[use_case]]."""

from __future__ import annotations

import pytest

from harness.records.metrics import METRICS
from harness.selection.limits import parse_limit
from harness.selection.use_cases import use_cases_of
from harness.suites.loader import load_suite, shipped_suites

CASE = "[[use_case]]\ntitle = 'x'\nfamilies = ['causal']\n"


def test_weights_stand_in_place_of_an_objective(load):
    (case,) = load(f"{CASE}weights = {{ bits_per_byte = 2, decode_tokens_per_second = 0.5 }}").use_case
    assert (case.objective, case.weights) == ("", {"bits_per_byte": 2, "decode_tokens_per_second": 0.5})


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("", ": expected 'objective' or 'weights', found none"),
        ("objective = 'perplexity'\nweights = { bits_per_byte = 1 }", ": expected 'objective' or 'weights', not both"),
        (
            "objective = 'bits_per_bite'",
            ".objective: 'bits_per_bite' is not a metric that can be ranked (did you mean 'bits_per_byte'?); see: "
            "harness list metrics",
        ),
        (
            "weights = { quantised_share = 1 }",
            ".weights: 'quantised_share' is not a metric that can be ranked; see: harness list metrics",
        ),
        ("weights = { bits_per_byte = 0 }", ".weights: bits_per_byte: expected a weight above 0, got 0"),
        ("weights = { bits_per_byte = -1.5 }", ".weights: bits_per_byte: expected a weight above 0, got -1.5"),
        ("weights = { bits_per_byte = inf }", ".weights: bits_per_byte: expected a weight above 0, got inf"),
        (
            "objective = 'perplexity'\nlimits = ['peek_memory <= 1 GiB']",
            ".limits: unknown metric 'peek_memory' (did you mean 'peak_memory'?); see: harness list metrics",
        ),
        (
            "objective = 'perplexity'\nlimits = ['load <= 1 GB/s']",
            ".limits: expected an amount of load_seconds in s, ms, us, µs, min, not '1 GB/s'",
        ),
    ],
)
def test_a_mistake_in_a_use_case_is_one_line_that_says_what_was_expected(refusal, lines, problem):
    assert refusal(CASE + lines) == f"use_case.0{problem}"


def test_two_use_cases_do_not_share_a_title(refusal):
    case = f"{CASE}objective = 'perplexity'\n"
    assert refusal(case + case) == "use_case: two use cases have the title 'x'"


@pytest.mark.parametrize("name", shipped_suites())
def test_use_cases_of_shipped_suites_can_be_read_back(name):
    suite = load_suite(name).suite
    found = use_cases_of(suite.model_dump(mode="json"))
    assert [case.title for case in found] == [case.title for case in suite.use_case]
    for case, told in zip(found, suite.use_case, strict=True):
        assert case.limits == tuple(map(parse_limit, told.limits))
        assert set(case.measures) <= METRICS.keys()


def test_the_main_suite_asks_for_what_the_source_recommends_for():
    titles = [case.title for case in load_suite("cpu").suite.use_case]
    assert titles[:4] == ["Creative generation", "Fast generation on a small CPU", "Understanding", "Multitask"]
