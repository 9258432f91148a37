from __future__ import annotations

import pytest


def test_a_suite_has_no_thresholds_of_its_own_unless_it_says_so(load):
    assert load().thresholds == {}
    assert load("[thresholds]\nload_seconds = 0.1\nweights_bytes = 0").thresholds == {
        "load_seconds": 0.1,
        "weights_bytes": 0,
    }


def test_a_threshold_can_be_set(load):
    assert load("", "thresholds.load_seconds=0.2").thresholds == {"load_seconds": 0.2}


@pytest.mark.parametrize("metric", ["speed", "quantised_share", "text", "control_seconds", "validation_loss"])
def test_a_metric_that_cannot_be_judged_has_no_threshold(refusal, metric):
    text = refusal(f"[thresholds]\n{metric} = 0.1")
    assert text == f"thresholds: '{metric}' is not a metric that can be judged; see: harness list metrics"


def test_a_mistyped_metric_of_a_threshold_suggests_the_nearest(refusal):
    text = refusal("[thresholds]\nload_second = 0.1")
    assert "'load_second' is not a metric that can be judged (did you mean 'load_seconds'?)" in text


@pytest.mark.parametrize("fraction", ["-0.1", "inf"])
def test_a_threshold_below_nothing_or_without_end_is_refused(refusal, fraction):
    assert refusal(f"[thresholds]\nload_seconds = {fraction}").startswith("thresholds")
