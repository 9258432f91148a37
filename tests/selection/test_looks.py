"""Looks at blocks made by hand: when a metric is decided, what does not count, and what has to be confirmed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from builders import a_block

from harness.records.blocks import Block
from harness.selection.looks import Looks, usable
from harness.stats.verdicts import LOOKS

DECODE, PREFILL, LOAD = "decode_tokens_per_second", "prefill_tokens_per_second", "load_seconds"
MINI, OTHER = "mini/torch/fp32/cpu", "other/torch/fp32/cpu"
QUIET = (1.0, 1.004, 0.997, 1.002, 0.999, 1.001)
"""Ratios of a quiet machine."""
ASTRAY = (0.85, 1.15, 0.9, 1.1, 0.95, 1.05)
"""Ratios that decide nothing: they lie on both sides, and base differs from itself by less."""


def blocks(
    ratios: Sequence[float] = QUIET,
    count: int = 6,
    metric: str = DECODE,
    variant: str = MINI,
    noise: Sequence[float] = QUIET,
    **other,
) -> list[Block]:
    """Blocks in which new / base is one of ``ratios`` in turn, and again / base one of ``noise``."""
    return [
        a_block(
            number,
            {metric: 100.0},
            {metric: 100.0 * ratios[number % len(ratios)]},
            {metric: 100.0 * noise[number % len(noise)]},
            variant,
            **other,
        )
        for number in range(count)
    ]


def together(*lists: list[Block]) -> list[Block]:
    """Blocks with the metrics of several lists of blocks, number by number."""
    return [
        a_block(
            number, *({k: v for each in row for k, v in each.arms[arm].items()} for arm in ("base", "new", "again"))
        )
        for number, row in enumerate(zip(*lists, strict=True))
    ]


def looked(found: Sequence[Block], number: int | None = None, **thresholds: float) -> Looks:
    looks = Looks(thresholds)
    looks.look(found, len(found) if number is None else number)
    return looks


def verdicts(looks: Looks) -> dict[str, str]:
    return {metric: each.verdict for (_, metric), each in looks.judgements.items()}


# the first look that can


@pytest.mark.parametrize(
    ("factor", "metric", "verdict"),
    [
        (0.8, DECODE, "regressed"),
        (1.3, DECODE, "improved"),
        (1.3, LOAD, "regressed"),
        (0.7, LOAD, "improved"),
        (1.0, DECODE, "unchanged"),
        (1.0, LOAD, "unchanged"),
    ],
)
def test_six_blocks_decide_a_metric_that_stands_alone(factor, metric, verdict):
    looks = looked(blocks([each * factor for each in QUIET], metric=metric))
    assert verdicts(looks) == {metric: verdict}
    assert not looks.undecided(MINI)
    assert looks.changed() == ([MINI] if verdict != "unchanged" else [])


def test_the_ratio_is_that_of_new_over_both_arms_of_base():
    looks = looked(blocks([0.8], noise=[1.21]))
    assert looks.judgements[MINI, DECODE].ratio.value == pytest.approx(0.8 / 1.1)


def test_what_six_blocks_leave_open_twelve_may_decide():
    ratios = [0.8, 0.8, 0.8, 1.0, 0.8, 0.8]
    looks = looked(blocks(ratios))
    assert looks.undecided(MINI)
    looks.look(blocks([*ratios, *[0.8] * 6], 12), 12)
    assert verdicts(looks) == {DECODE: "regressed"}
    assert looks.judgements[MINI, DECODE].ratio.n == 12


def test_later_blocks_do_not_reopen_a_verdict():
    looks = looked(blocks())
    first = looks.judgements[MINI, DECODE]
    looks.look(blocks([0.5], 12), 12)
    assert looks.judgements[MINI, DECODE] == first


def test_the_decided_metric_stands_while_another_is_looked_at_again():
    open_at_first = together(blocks(), blocks(ASTRAY, metric=PREFILL))
    looks = looked(open_at_first)
    assert verdicts(looks) == {DECODE: "unchanged", PREFILL: "undecided"}
    looks.look(together(blocks([0.5], 12), blocks([1.0], 12, metric=PREFILL)), 12)
    assert verdicts(looks) == {DECODE: "unchanged", PREFILL: "unchanged"}
    assert looks.judgements[MINI, DECODE].ratio.n == 6


def test_each_look_asks_for_the_coverage_that_it_was_given():
    """The fifth and last but four of 20, the second and last but one of 12."""
    for count, cut in ((12, 1), (20, 4)):
        outliers = [1.0] * cut + [0.8] * (count - cut)
        assert verdicts(looked(blocks(outliers, count))) == {DECODE: "regressed"}
        assert verdicts(looked(blocks([1.0, *outliers[:-1]], count))) == {DECODE: "undecided"}


@pytest.mark.parametrize("count", range(1, 6))
def test_fewer_than_six_blocks_decide_nothing(count):
    looks = looked(blocks([0.5], count), 6)
    judgement = looks.judgements[MINI, DECODE]
    assert (judgement.verdict, judgement.reason) == ("undecided", f"{count} of 6 blocks")
    assert judgement.more_blocks == 6 - count


def test_the_fewest_blocks_that_decide_are_six_at_every_look():
    looks = looked(blocks([0.5], 4), 12)
    assert looks.judgements[MINI, DECODE].reason == "4 of 6 blocks"


def test_what_falls_between_two_looks_is_not_judged_anew():
    looks = looked(blocks(ASTRAY))
    looks.look(blocks([*ASTRAY, 0.5, 0.5, 0.5], 9), 12)
    assert looks.judgements[MINI, DECODE].ratio.n == 6
    assert looks.undecided(MINI)


def test_nothing_that_was_judged_is_undecided():
    looks = Looks({})
    looks.look([], 6)
    assert looks.undecided(MINI)
    assert looks.changed() == []
    assert looks.judgements == {}


# what does not count


def test_disturbed_blocks_do_not_count():
    bad = blocks([0.5], 6, disturbed=("throttled",))
    assert verdicts(looked([*blocks(), *bad], 6)) == {DECODE: "unchanged"}
    assert looked(bad, 6).judgements == {}


def test_usable_blocks_are_those_of_a_variant_and_stage_that_nothing_disturbed():
    good, bad = blocks(count=2), blocks(count=1, disturbed=("throttled",))
    confirming, others = blocks(count=1, stage="confirm"), blocks(count=1, variant=OTHER)
    everything = [*good, *bad, *confirming, *others]
    assert usable(everything, MINI) == good
    assert usable(everything, MINI, "confirm") == confirming


def test_a_metric_that_an_arm_lacks_is_not_judged():
    with_load = together(blocks(), blocks(metric=LOAD))
    without = [a_block(b.number, b.arms["base"], {DECODE: 100.0}, b.arms["again"]) for b in with_load]
    assert verdicts(looked(without)) == {DECODE: "unchanged"}


def test_a_metric_that_a_block_lacks_is_not_judged():
    five = together(blocks(count=5), blocks(count=5, metric=LOAD))
    assert verdicts(looked([*five, *blocks(count=1)])) == {DECODE: "unchanged"}


def test_a_variant_of_which_no_arm_has_a_metric_is_undecided():
    looks = looked([Block(MINI, number, {"base": {}, "again": {}, "new": {}}) for number in range(6)])
    assert looks.judgements == {}
    assert looks.undecided(MINI)


# thresholds, noise, zeros


def test_the_threshold_of_a_metric_is_the_users():
    worse = [each * 0.92 for each in QUIET]
    assert verdicts(looked(blocks(worse))) == {DECODE: "regressed"}
    assert verdicts(looked(blocks(worse), **{DECODE: 0.2})) == {DECODE: "unchanged"}


def test_a_change_within_what_base_differs_from_itself_is_no_change():
    looks = looked(blocks([0.9], noise=[0.8, 1.25, 0.85, 1.2, 0.9, 1.1]))
    assert looks.judgements[MINI, DECODE].verdict == "undecided"
    assert "base differs as much from itself" in looks.judgements[MINI, DECODE].reason


@pytest.mark.parametrize(
    ("base", "again", "new", "verdict"),
    [
        (0.0, 0.0, 0.0, "unchanged"),
        (0.0, 0.0, 9e9, "regressed"),
        (9e9, 9e9, 0.0, "improved"),
        (9e9, 0.0, 9e9, "undecided"),
    ],
)
def test_zeros_have_verdicts(base, again, new, verdict):
    metric = "peak_resident_bytes"
    looks = looked([a_block(n, {metric: base}, {metric: new}, {metric: again}) for n in range(6)])
    assert verdicts(looks) == {metric: verdict}


# several variants


def test_the_same_metric_of_two_variants_is_judged_apart():
    looks = looked([*blocks(), *blocks([0.5], variant=OTHER)], 6)
    looks_alone = looked(blocks([0.5], variant=OTHER))
    assert {key: each.verdict for key, each in looks_alone.judgements.items()} == {(OTHER, DECODE): "regressed"}
    assert looks.judgements[MINI, DECODE].verdict == "unchanged"
    assert not looks.undecided(MINI)


def test_false_discoveries_are_held_down_over_all_variants():
    """One change at p = 0.031 among two metrics could be a false alarm, though it would stand alone."""
    looks = looked([*blocks(), *blocks([0.5], variant=OTHER)], 6)
    judgement = looks.judgements[OTHER, DECODE]
    assert judgement.verdict == "undecided"
    assert "could be a false alarm among 2 metrics" in judgement.reason
    assert looks.undecided(OTHER)


def test_more_blocks_make_a_change_stand_among_many():
    looks = looked([*blocks(), *blocks([0.5], variant=OTHER)], 6)
    looks.look(blocks([0.5], 12, variant=OTHER), 12)
    assert looks.judgements[OTHER, DECODE].verdict == "regressed"
    assert looks.changed() == [OTHER]


def test_changes_of_all_metrics_stand_at_once():
    looks = looked([*blocks([0.5]), *blocks([0.5], variant=OTHER)], 6)
    assert looks.changed() == [MINI, OTHER]


# confirmation


def test_a_verdict_of_a_change_stands_when_more_metrics_are_judged_later():
    looks = looked(blocks([0.5]))
    looks.look(blocks(count=12, variant=OTHER), 12)
    assert looks.judgements[MINI, DECODE].verdict == "regressed"


def test_fresh_blocks_that_agree_confirm_a_change():
    looks = looked(blocks([0.8]))
    first = looks.judgements[MINI, DECODE]
    looks.confirm(blocks([0.82], stage="confirm"))
    assert looks.judgements[MINI, DECODE] == first


@pytest.mark.parametrize("ratios", [[1.0], [1.3], [0.98], ASTRAY])
def test_fresh_blocks_that_do_not_agree_leave_it_undecided(ratios):
    looks = looked(blocks([0.8]))
    looks.confirm(blocks(ratios))
    judgement = looks.judgements[MINI, DECODE]
    assert judgement.verdict == "undecided"
    assert judgement.reason.startswith("regressed at first, but 6 fresh blocks found a ratio of ")
    assert looks.changed() == []


def test_the_reason_has_the_ratio_that_was_found():
    looks = looked(blocks([1.25]))
    looks.confirm(blocks([1.0], noise=[1.0]))
    words = "improved at first, but 6 fresh blocks found a ratio of 1.000"
    assert looks.judgements[MINI, DECODE].reason == words


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_fresh_blocks_confirm_nothing(count):
    looks = looked(blocks([0.8]))
    looks.confirm(blocks([0.8], count))
    assert looks.judgements[MINI, DECODE].verdict == "undecided"


@pytest.mark.parametrize("fresh", [[], blocks([0.8], variant=OTHER), blocks([0.8], disturbed=("throttled",))])
def test_without_fresh_blocks_a_change_is_undecided(fresh):
    looks = looked(blocks([0.8]))
    looks.confirm(fresh)
    assert looks.judgements[MINI, DECODE].reason == "no fresh blocks were measured to confirm it"


def test_a_metric_that_fresh_blocks_lack_is_undecided():
    looks = looked(blocks([0.8]))
    looks.confirm(blocks([0.8], metric=PREFILL))
    assert looks.judgements[MINI, DECODE].verdict == "undecided"


def test_what_is_unchanged_needs_no_confirmation():
    looks = looked(together(blocks(), blocks(ASTRAY, metric=PREFILL)))
    before = dict(looks.judgements)
    looks.confirm([])
    assert looks.judgements == before


def test_the_arm_to_hold_against_base_can_be_another():
    looks = Looks({}, arm="same")
    found = [Block(b.variant, b.number, {**b.arms, "same": {DECODE: 50.0}}) for b in blocks()]
    looks.look(found, 6)
    assert verdicts(looks) == {DECODE: "regressed"}


def test_the_looks_are_at_6_12_and_20_blocks():
    assert list(LOOKS) == [6, 12, 20]
