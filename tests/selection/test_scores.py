from __future__ import annotations

import math

import numpy as np
import pytest
from builders import make_row, scored, single, timed
from hypothesis import given
from hypothesis import strategies as st

from harness.selection.comparison import compare
from harness.selection.scores import UseCase, compare_by, score

SPEED, QUALITY, MEMORY, SIZE = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes", "weights_bytes"


def weighed(*weights: tuple[str, float]) -> UseCase:
    return UseCase("w", ("causal",), weights=weights)


def sized(**metrics: float):
    return make_row(metrics={metric: single(value) for metric, value in metrics.items()})


def test_the_score_of_an_objective_orders_as_its_values_do():
    case = UseCase("x", ("causal",), SIZE)
    assert score(sized(weights_bytes=10.0), case) > score(sized(weights_bytes=20.0), case)


def test_a_score_is_the_logarithm_of_the_weighted_geometric_mean():
    """Speed counts three quarters, and half the memory is as good as double the speed of a third of that weight."""
    row = sized(decode_tokens_per_second=16.0, weights_bytes=1 / 16)
    assert math.exp(score(row, weighed((SPEED, 3.0), (SIZE, 1.0)))) == pytest.approx(16.0)
    row = sized(decode_tokens_per_second=16.0, weights_bytes=1.0)
    assert math.exp(score(row, weighed((SPEED, 3.0), (SIZE, 1.0)))) == pytest.approx(8.0)


def test_units_do_not_matter():
    case = weighed((SPEED, 2.0), (SIZE, 1.0))
    rows = [sized(decode_tokens_per_second=s, weights_bytes=w) for s, w in ((10.0, 3.0), (12.0, 5.0), (9.0, 2.0))]
    scaled = [sized(decode_tokens_per_second=s * 60, weights_bytes=w / 1024)
              for s, w in ((10.0, 3.0), (12.0, 5.0), (9.0, 2.0))]  # fmt: skip
    one, other = (np.array([score(row, case) for row in each]) for each in (rows, scaled))
    assert np.diff(one) == pytest.approx(np.diff(other))


def test_a_variant_that_lacks_one_of_the_metrics_has_no_score():
    assert score(sized(weights_bytes=1.0), weighed((SPEED, 1.0), (SIZE, 1.0))) is None


def test_an_accuracy_of_nothing_scores_lowest():
    assert score(sized(cloze_accuracy=0.0), UseCase("x", ("causal",), "cloze_accuracy")) == -math.inf


def test_an_objective_is_compared_as_its_metric_is():
    case = UseCase("x", ("causal",), SPEED)
    rows = [make_row(metrics={SPEED: timed([each] * 6)}) for each in (10.0, 12.0)]
    assert compare_by(case, *rows) == compare(*rows, SPEED)


def test_one_weight_is_compared_as_its_metric_is_with_more_being_better():
    nats = [300.0, 340.0, 280.0, 310.0, 330.0, 290.0]
    base, new = (
        make_row(metrics={QUALITY: scored(QUALITY, each)}) for each in (nats, [n * 0.9 - i for i, n in enumerate(nats)])
    )
    there, plain = compare_by(weighed((QUALITY, 5.0)), base, new), compare(base, new, QUALITY)
    assert there.ratio.value == pytest.approx(1 / plain.ratio.value)
    assert (there.ratio.low, there.ratio.high) == (
        pytest.approx(1 / plain.ratio.high),
        pytest.approx(1 / plain.ratio.low),
    )
    assert there.better is plain.better is True


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_the_squares_of_half_widths_add_up_on_the_logarithmic_scale(first, second):
    """Two single readings of memory, each with an interval of 5 % about the ratio."""
    base = make_row(metrics={MEMORY: single(100.0), "peak_pss_bytes": single(100.0)})
    new = make_row(metrics={MEMORY: single(50.0), "peak_pss_bytes": single(200.0)})
    found = compare_by(weighed((MEMORY, first), ("peak_pss_bytes", second)), base, new)
    one, other = first / (first + second), second / (first + second)
    below = math.hypot(one * math.log(1.05), other * math.log(1.05))
    assert math.log(found.ratio.value) == pytest.approx(one * math.log(2) - other * math.log(2), abs=1e-12)
    assert math.log(found.ratio.value / found.ratio.low) == pytest.approx(below)


def test_the_interval_of_a_weighed_difference_covers_it_in_95_of_100_runs():
    rng = np.random.default_rng(2)
    case, covered, tries = weighed((QUALITY, 1.0), (SPEED, 1.0)), 0, 400
    for _ in range(tries):
        shared = rng.normal(0, 0.3, size=12)
        rows = []
        for loss, speed in ((3.0, 100.0), (2.7, 110.0)):
            nats = 100 * loss * np.exp(shared + rng.normal(0, 0.1, size=12))
            readings = speed * np.exp(rng.normal(0, 0.05, size=12))
            rows.append(make_row(metrics={QUALITY: scored(QUALITY, nats.tolist()), SPEED: timed(readings.tolist())}))
        found = compare_by(case, *rows)
        covered += found.ratio.low <= math.sqrt(3.0 / 2.7 * 1.1) <= found.ratio.high
    assert covered / tries >= 0.93


def test_one_part_without_an_interval_leaves_the_whole_without():
    base, new = (make_row(metrics={SIZE: single(5.0), SPEED: timed([each] * 3)}) for each in (10.0, 20.0))
    found = compare_by(weighed((SIZE, 1.0), (SPEED, 1.0)), base, new)
    assert (found.ratio.low, found.ratio.high, found.better) == (None, None, None)
    assert found.ratio.value == pytest.approx(math.sqrt(2))


def test_what_cannot_be_compared_in_one_part_cannot_be_compared():
    base = make_row(metrics={"perplexity": scored("perplexity", [300.0] * 6), SIZE: single(1.0)})
    new = make_row(metrics=base.metrics, tokenizer="tokenizer-2")
    assert compare_by(weighed(("perplexity", 1.0), (SIZE, 1.0)), base, new) is None
