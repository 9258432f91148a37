from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.intervals import median
from harness.stats.noise_floor import noise_floor, smallest_change
from harness.stats.verdicts import LOOKS, Rule, judge


def test_blocks_in_which_nothing_moved_have_no_noise_floor():
    found = noise_floor([([2.0, 3.0], [3.0, 2.0], [2.0, 3.0])] * 6, min)
    assert (found.ratio.value, found.ratio.low, found.ratio.high, found.floor) == (1.0, 1.0, 1.0, 0.0)
    assert found.smallest == {6: 0.0, 12: 0.0, 20: 0.0}


def test_each_arm_is_reduced_before_it_is_compared():
    blocks = [([1.0, 4.0, 4.0], [1.0, 4.0, 4.0], [1.0, 1.0, 6.0])] * 6
    assert noise_floor(blocks, min).ratio.value == 1.0
    assert noise_floor(blocks, median).ratio.value == pytest.approx(0.25)


def test_the_third_arm_is_held_against_the_geometric_mean_of_the_others():
    found = noise_floor([([1.0], [4.0], [2.0])] * 6, min)
    assert found.ratio.value == pytest.approx(1.0)
    assert found.floor == pytest.approx(3.0)


def test_few_blocks_have_a_ratio_without_interval():
    assert noise_floor([([1.0], [1.0], [1.1])] * 3, min).ratio.low is None


@pytest.mark.parametrize("reading", [0.0, -1.0])
def test_readings_that_are_not_positive_are_an_error(reading: float):
    with pytest.raises(ValueError, match="not positive"):
        noise_floor([([reading], [1.0], [1.0])] * 6, min)


def test_no_blocks_are_an_error():
    with pytest.raises(ValueError, match="no values"):
        noise_floor([], min)


@pytest.mark.parametrize(("blocks", "confidence"), LOOKS.items())
def test_the_smallest_change_is_found_in_80_percent_of_tries(blocks: int, confidence: float):
    rng = np.random.default_rng(blocks)
    base, again, third = 0.01 * rng.standard_normal((3, 200))
    changes, noise = (third - (base + again) / 2), again - base
    smallest = smallest_change(changes.tolist(), noise.tolist(), blocks, confidence)
    rule, found = Rule(0.0, higher_is_better=False), 0
    for _ in range(500):
        drawn = rng.integers(0, 200, blocks)
        moved = (changes[drawn] + math.log1p(smallest)).tolist()
        found += judge(moved, noise[drawn].tolist(), rule, 1.0, confidence).verdict == "regressed"
    assert 0.74 <= found / 500 <= 0.86


def test_too_few_blocks_for_the_confidence_are_an_error():
    with pytest.raises(ValueError, match="3 blocks give no interval"):
        smallest_change([0.0] * 6, [0.0] * 6, 3, 0.95)
