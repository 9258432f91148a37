"""Do verdicts keep their word on simulated machines? Rates are asserted with the Monte-Carlo error on the safe side.

A machine is the noise of its readings. A block has six, in a palindrome (base, again, new, new, again, base), and each
arm is the mean of its two logarithms: two readings are far fewer, and a mean far more easily moved, than what ``ab``
does. A session measures four metrics in twenty blocks, with looks at 6, 12 and 20, and six or nine more to confirm.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from math import log1p

import numpy as np
import pytest
from scipy.stats import binomtest

from harness.stats.intervals import median_estimate
from harness.stats.verdicts import LOOKS, Rule, confirms, control_false_discoveries, judge

SESSIONS, METRICS, BLOCKS, READINGS = 500, 4, 29, 6
SHAPE = (SESSIONS, METRICS, BLOCKS, READINGS)
SPEED = Rule(threshold=0.03, higher_is_better=False)
ANY_CHANGE = Rule(threshold=0.0, higher_is_better=False)


def quiet(rng: np.random.Generator) -> np.ndarray:
    return 0.01 * rng.standard_normal(SHAPE)


def noisy(rng: np.random.Generator) -> np.ndarray:
    return 0.04 * rng.standard_normal(SHAPE)


def outliers(rng: np.random.Generator) -> np.ndarray:
    """One reading in ten is 30 % slower."""
    return quiet(rng) + log1p(0.3) * (rng.random(SHAPE) < 0.1)


def slow_blocks(rng: np.random.Generator) -> np.ndarray:
    """In one block of ten an arm is 30 % slower."""
    struck = (rng.random(SHAPE[:3]) < 0.1)[..., None] & (np.arange(3) == rng.integers(0, 3, SHAPE[:3])[..., None])
    return quiet(rng) + log1p(0.3) * np.concatenate([struck, struck[..., ::-1]], axis=-1)


def heavy_tails(rng: np.random.Generator) -> np.ndarray:
    return 0.01 * rng.standard_t(2, SHAPE)


def linear_drift(rng: np.random.Generator) -> np.ndarray:
    """Every reading is 1 % slower than the one before it."""
    return quiet(rng) + (0.01 * np.arange(BLOCKS * READINGS)).reshape(BLOCKS, READINGS)


def random_walk(rng: np.random.Generator) -> np.ndarray:
    """The machine, and so all its metrics alike, wanders by 1 % from a reading to the next."""
    steps = 0.01 * rng.standard_normal((SESSIONS, 1, BLOCKS * READINGS))
    return quiet(rng) + steps.cumsum(axis=-1).reshape(SESSIONS, 1, BLOCKS, READINGS)


def two_speeds(rng: np.random.Generator) -> np.ndarray:
    """A core whose other thread belongs to somebody else: 35 % slower from one random moment to another."""
    slow = (rng.random((SESSIONS, 1, BLOCKS * READINGS)) < 0.05).cumsum(axis=-1) % 2
    return quiet(rng) + log1p(0.35) * slow.reshape(SESSIONS, 1, BLOCKS, READINGS)


MACHINES = [quiet, noisy, outliers, slow_blocks, heavy_tails, linear_drift, random_walk, two_speeds]


@cache
def measured(machine) -> tuple[np.ndarray, np.ndarray]:
    """Changes of new against base and its repetition, and of base against itself [sessions, metrics, blocks]."""
    log_seconds = machine(np.random.default_rng(20))
    base, again, new = ((log_seconds[..., turn] + log_seconds[..., 5 - turn]) / 2 for turn in range(3))
    return new - (base + again) / 2, again - base


def whole_procedure(changes, noise, rule: Rule, noise_share: float = 1.0, confirming: int = 6) -> list[str]:
    """The verdicts of one session: each metric is decided at the first look that can, among all metrics of the
    session, and fresh blocks must confirm what changed. ``changes`` and ``noise`` [metrics][blocks]."""
    last, found = max(LOOKS), {}
    for blocks, confidence in LOOKS.items():
        for metric, mine in enumerate(changes):
            if metric not in found or found[metric].verdict == "undecided":
                own = noise[metric][: int(blocks * noise_share)]
                found[metric] = judge(mine[:blocks], own, rule, base=1.0, confidence=confidence)
        found = control_false_discoveries(found)
        if all(each.verdict != "undecided" for each in found.values()):
            break
    verdicts = []
    for metric, first in found.items():
        fresh = judge(changes[metric][last : last + confirming], [], rule, base=1.0)
        changed = first.verdict in ("regressed", "improved")
        verdicts.append("undecided" if changed and not confirms(first, fresh, rule) else first.verdict)
    return verdicts


def rates(machine, rule: Rule, slower: float = 0.0, sessions: int = SESSIONS, **procedure) -> Counter[str]:
    """How many of sessions x metrics end in each verdict when new is slower by a share."""
    changes, noise = measured(machine)
    pairs = zip((changes[:sessions] + log1p(slower)).tolist(), noise[:sessions].tolist(), strict=True)
    return Counter(verdict for pair in pairs for verdict in whole_procedure(*pair, rule, **procedure))


def assert_rarer_than(share: float, count: int, of: int) -> None:
    """The one-sided 95 % limit of Clopper & Pearson for the rate is at most ``share``."""
    assert binomtest(count, of).proportion_ci(0.9).high <= share, f"{count} of {of}"


@pytest.mark.parametrize("blocks", range(1, 26))
def test_the_interval_covers_the_median_of_skewed_changes_at_every_number_of_blocks(blocks):
    found = median_estimate([float(rank) for rank in range(blocks)])
    if blocks < 6:
        assert found.low is None
        return
    drawn = np.sort(np.random.default_rng(blocks).lognormal(sigma=1.0, size=(20_000, blocks)), axis=1)
    missed = (drawn[:, int(found.low)] > 1) | (drawn[:, int(found.high)] < 1)
    assert binomtest(int(missed.sum()), len(drawn), 0.05, "greater").pvalue > 0.001, missed.mean()
    assert missed.mean() > 0.005, "the interval is wider than it has to be"


def test_the_intervals_at_all_looks_together_miss_the_median_in_5_percent_at_most():
    drawn = np.random.default_rng(0).exponential(size=(40_000, max(LOOKS)))
    missed = np.zeros(len(drawn), dtype=bool)
    for blocks, confidence in LOOKS.items():
        found = median_estimate([float(rank) for rank in range(blocks)], confidence)
        ordered = np.sort(drawn[:, :blocks], axis=1)
        missed |= (ordered[:, int(found.low)] > np.log(2)) | (ordered[:, int(found.high)] < np.log(2))
    assert_rarer_than(0.05, int(missed.sum()), len(drawn))


@pytest.mark.parametrize("machine", MACHINES, ids=lambda each: each.__name__)
def test_at_most_one_comparison_in_200_is_a_false_alarm_even_where_any_change_matters(machine):
    found = rates(machine, ANY_CHANGE)
    assert found.total() == 2000
    assert_rarer_than(1 / 200, found["regressed"] + found["improved"], found.total())


@pytest.mark.parametrize("machine", [outliers, two_speeds], ids=lambda each: each.__name__)
@pytest.mark.parametrize("noise_share", [0.0, 0.25], ids=["none measured", "in a quarter of the blocks"])
@pytest.mark.parametrize("confirming", [6, 9])
def test_confirmation_keeps_false_alarms_rare_where_noise_was_hardly_measured(machine, noise_share, confirming):
    found = rates(machine, ANY_CHANGE, noise_share=noise_share, confirming=confirming)
    assert_rarer_than(1 / 200, found["regressed"] + found["improved"], found.total())


@pytest.mark.parametrize("machine", MACHINES, ids=lambda each: each.__name__)
def test_a_change_below_the_threshold_is_no_regression(machine):
    found = rates(machine, SPEED, slower=0.015)
    assert_rarer_than(1 / 200, found["regressed"] + found["improved"], found.total())


@pytest.mark.parametrize(
    ("machine", "at_5", "at_10", "at_20"),
    [
        (quiet, 0.95, 0.99, 0.99),
        (linear_drift, 0.95, 0.99, 0.99),
        (random_walk, 0.80, 0.99, 0.99),
        (heavy_tails, 0.70, 0.95, 0.99),
        (noisy, 0.05, 0.95, 0.99),
        (slow_blocks, 0.55, 0.55, 0.99),
        (two_speeds, 0.35, 0.60, 0.95),
        (outliers, 0.02, 0.45, 0.80),
    ],
    ids=lambda each: getattr(each, "__name__", f"{each}"),
)
def test_a_slow_down_is_found_unless_the_machine_is_too_noisy_for_it(machine, at_5, at_10, at_20):
    for slower, at_least in ((0.05, at_5), (0.1, at_10), (0.2, at_20)):
        found = rates(machine, SPEED, slower, sessions=75)
        assert found["regressed"] >= at_least * found.total(), f"{slower:.0%}: {found}"
        assert found["unchanged"] <= 0.02 * found.total(), f"{slower:.0%}: {found}"
        assert found["improved"] == 0


def test_nine_fresh_blocks_confirm_what_one_outlier_among_six_would_deny():
    """The interval of nine leaves out one value at each end, that of six none."""
    six, nine = (rates(slow_blocks, SPEED, 0.1, sessions=75, confirming=fresh)["regressed"] for fresh in (6, 9))
    assert nine >= six + 0.1 * 300


@pytest.mark.parametrize("machine", [quiet, linear_drift, random_walk], ids=lambda each: each.__name__)
def test_what_has_not_changed_is_found_unchanged_on_a_quiet_machine(machine):
    found = rates(machine, SPEED, sessions=75)
    assert found["unchanged"] >= 0.98 * found.total()


def test_a_gain_is_found_as_often_as_a_loss():
    higher = Rule(0.03, higher_is_better=True)
    assert rates(quiet, higher, slower=1 / 1.1 - 1, sessions=50)["improved"] == 200
    assert rates(quiet, higher, slower=0.1, sessions=50)["regressed"] == 200


@pytest.mark.parametrize(("blocks", "confidence"), [*LOOKS.items(), (15, 0.95), (25, 0.95)])
def test_the_smallest_change_is_found_in_80_percent_of_tries(blocks, confidence):
    drawn = (0.01 * np.random.default_rng(blocks).standard_normal((500, blocks))).tolist()
    smallest = np.median([judge(each, [], SPEED, 1.0, confidence).smallest for each in drawn])
    moved = [judge([log1p(smallest) + x for x in each], [], SPEED, 1.0, confidence).verdict for each in drawn]
    assert 0.7 <= moved.count("regressed") / len(moved) <= 0.9
