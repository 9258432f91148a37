from __future__ import annotations

import pytest

from harness.records.metrics import METRICS
from harness.selection.thresholds import FLOORS, check_thresholds, may_be_judged, rule_of

JUDGEABLE = [name for name in METRICS if may_be_judged(name)]


@pytest.mark.parametrize(
    ("metric", "threshold", "higher_is_better"),
    [
        ("decode_tokens_per_second", 0.03, True),
        ("load_seconds", 0.1, False),
        ("peak_memory_bytes", 0.03, False),
        ("perplexity", 0.01, False),
        ("forced_choice_accuracy", 0.01, True),
        ("weights_bytes", 0.0, False),
    ],
)
def test_what_matters_unless_a_suite_says_otherwise(metric, threshold, higher_is_better):
    rule = rule_of(metric, {})
    assert (rule.threshold, rule.higher_is_better) == (threshold, higher_is_better)


def test_a_suite_says_what_matters():
    assert rule_of("perplexity", {"perplexity": 0.2, "bits_per_byte": 0.5}).threshold == 0.2


def test_times_and_memory_have_floors():
    assert rule_of("inter_token_seconds_p95", {}).floor == 10e-6
    assert rule_of("load_seconds", {}).floor == 5e-3
    assert rule_of("peak_memory_bytes", {}).floor == 2**20
    assert rule_of("decode_tokens_per_second", {}).floor == 0


def test_every_time_and_memory_has_a_floor_and_nothing_else_has():
    timed = [name for name in JUDGEABLE if METRICS[name].unit == "s" or METRICS[name].measure == "memory"]
    assert set(FLOORS) == set(timed)


@pytest.mark.parametrize(
    "metric", ["kl_divergence", "quantised_share", "control_seconds", "validation_loss", "nothing"]
)
def test_what_has_no_direction_or_is_no_result_of_a_variant_has_no_rule(metric):
    with pytest.raises(ValueError, match=f"'{metric}' is not a metric that can be judged"):
        rule_of(metric, {})
    with pytest.raises(ValueError, match=f"'{metric}' is not a metric that can be judged.*harness list metrics"):
        check_thresholds({metric: 0.1})


def test_a_mistyped_metric_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'perplexity'"):
        check_thresholds({"perplexty": 0.1})


@pytest.mark.parametrize("fraction", [-0.1, float("nan"), float("inf"), "3 %", True, None])
def test_a_threshold_is_a_fraction(fraction):
    with pytest.raises(ValueError, match="perplexity: expected a fraction"):
        check_thresholds({"perplexity": fraction})


def test_good_thresholds_are_kept():
    assert check_thresholds({"perplexity": 0, "weights_bytes": 2.0}) == {"perplexity": 0, "weights_bytes": 2.0}
