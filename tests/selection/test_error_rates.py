"""Comparisons cut from blocks in which the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.records.blocks import AGAIN, BASE, Block
from harness.selection.error_rates import SAME, comparisons, resampled
from harness.stats.verdicts import CONFIRMING, LOOKS

DECODE, LOAD = "decode_tokens_per_second", "load_seconds"
SLOW = "slower by 20 %"
WHOLE = max(LOOKS) + CONFIRMING


def blocks(count: int, ratios: Sequence[float] = (1.0,), **other) -> list[Block]:
    """Blocks in which the slower arm is one of ``ratios`` of base in turn, and the rest is all alike."""
    arms = {name: {DECODE: 100.0} for name in (BASE, AGAIN, SAME)}
    return [
        Block("mini", number, {**arms, SLOW: {DECODE: 100.0 * ratios[number % len(ratios)]}}, **other)
        for number in range(count)
    ]


@pytest.mark.parametrize(("count", "found"), [(0, 0), (5, 0), (6, 1), (11, 1), (12, 2), (60, 10)])
def test_comparisons_that_are_decided_at_once_take_six_blocks_each(count, found):
    made = comparisons(blocks(count), SAME, DECODE)
    assert [(each.blocks, each.judgements[DECODE].verdict) for each in made] == [(6, "unchanged")] * found


def test_a_change_takes_the_blocks_that_confirm_it_as_well():
    made = comparisons(blocks(2 * (6 + CONFIRMING), [0.8]), SLOW, DECODE)
    assert [(each.blocks, each.judgements[DECODE].verdict) for each in made] == [(6 + CONFIRMING, "regressed")] * 2


def test_a_change_that_is_left_without_blocks_to_confirm_it_is_not_used():
    assert comparisons(blocks(6 + CONFIRMING - 1, [0.8]), SLOW, DECODE) == []


def test_comparisons_share_no_block():
    """The first six blocks are slower, those that confirm are not, and from there on all are alike."""
    source = [*blocks(6, [0.8]), *blocks(CONFIRMING), *blocks(6)]
    made = comparisons(source, SLOW, DECODE)
    assert [each.judgements[DECODE].verdict for each in made] == ["undecided", "unchanged"]
    assert [each.blocks for each in made] == [6 + CONFIRMING, 6]


def test_what_stays_undecided_takes_twenty_blocks():
    (made,) = comparisons(blocks(20, [0.8, 1.25]), SLOW, DECODE)
    assert (made.blocks, made.judgements[DECODE].verdict) == (20, "undecided")
    assert comparisons(blocks(19, [0.8, 1.25]), SLOW, DECODE) == []


def test_what_six_blocks_leave_open_goes_on_to_twelve():
    source = [*blocks(1, [0.5]), *blocks(11)]
    assert [each.blocks for each in comparisons(source, SLOW, DECODE)] == [12]


def test_disturbed_blocks_are_not_used():
    source = [*blocks(3), *blocks(3, [0.1], disturbed=("throttled",)), *blocks(3)]
    (made,) = comparisons(source, SLOW, DECODE)
    assert made.judgements[DECODE].verdict == "unchanged"


def test_resampled_comparisons_are_as_many_as_were_asked_for():
    assert len(list(resampled(blocks(WHOLE), SAME, 7))) == 7


def test_too_few_blocks_are_not_resampled():
    assert list(resampled(blocks(WHOLE - 1), SAME, 7)) == []


def test_resampled_comparisons_are_those_of_the_seed():
    source = blocks(2 * WHOLE, [0.8, 0.9, 1.0, 1.1])
    one, same, other = (list(resampled(source, SLOW, 5, seed)) for seed in (1, 1, 2))
    assert one == same != other


def test_resampling_leaves_disturbed_blocks_out():
    source = [*blocks(WHOLE), *blocks(WHOLE, [0.1], disturbed=("throttled",))]
    assert {each.judgements[DECODE].verdict for each in resampled(source, SLOW, 20)} == {"unchanged"}


def test_a_comparison_ends_when_its_metric_is_decided_whatever_the_others_are():
    source = [
        replace(block, arms={name: {**arm, LOAD: ratio if name == SAME else 1.0} for name, arm in block.arms.items()})
        for block, ratio in zip(blocks(12), [0.5, 2.0] * 6, strict=True)
    ]
    assert [each.blocks for each in comparisons(source, SAME, DECODE)] == [6, 6]
    assert comparisons(source, SAME, LOAD) == []
