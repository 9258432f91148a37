"""Which blocks are measured when, with blocks that are made up instead of measured."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from builders import a_block, make_subject, make_task

from harness.ab.blocks import Arm, ArmError
from harness.ab.schedule import Ledger, Schedule
from harness.records.blocks import AGAIN, BASE, NEW, BlockStore
from harness.records.record import Fact
from harness.records.rows import make_rows
from harness.records.run_folder import create_run
from harness.selection.looks import Looks, usable
from harness.speed.timing import Timing
from harness.stats.verdicts import CONFIRMING

DECODE = "decode_tokens_per_second"
MINI, OTHER = "mini/torch/fp32/cpu", "other/torch/fp32/cpu"


class Side:
    """A side with a name and nothing behind it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"{self.name} (abc)"


BASE_SIDE, NEW_SIDE = Side("base"), Side("new")
ARMS = (Arm(BASE, BASE_SIDE), Arm(AGAIN, BASE_SIDE), Arm(NEW, NEW_SIDE))


class Place:
    """A schedule over two runs in a folder. ``measured`` are (variant, stage) in order; ``ratios`` are new / base by
    variant, each a list whose last value stays; ``disturbed`` and ``failing`` say which measurements go wrong. A block
    takes a second of a clock that nothing else moves."""

    def __init__(self, folder, variants) -> None:
        self.folder, self.variants, self.said = folder, variants, []
        self.measured, self.ratios = [], {}
        self.disturbed = lambda variant, number: ()
        self.failing = lambda variant, number: None
        self.now, self.seconds = 0.0, 1.0
        self.runs = {}
        for name in (BASE, NEW):
            self.runs[name] = create_run(folder / name, "mine", "identity-1", {})
            for variant in variants:
                facts = [Fact("weights_bytes", 100.0)]
                self.runs[name].store.append(make_task("score", make_subject(variant), *facts))
        self.schedule = Schedule(ARMS, Timing(), Ledger(folder, self.runs), 0, self.said.append)
        self.looks = Looks({})

    def measure_block(self, variant, number, arms, timing, order, stage="look"):
        self.now += self.seconds
        if arm := self.failing(variant, number):
            raise ArmError(next(each for each in arms if each.name == arm), "no kernel")
        self.measured.append((variant, stage))
        ratios = self.ratios.get(variant, [1.0])
        ratio = ratios[min(number, len(ratios) - 1)]
        return a_block(
            number, {DECODE: 100.0}, {DECODE: 100.0 * ratio}, variant=variant, stage=stage,
            disturbed=self.disturbed(variant, number),
        )  # fmt: skip

    def run(self, seconds: float = 60.0) -> SimpleNamespace:
        self.schedule.run(self.variants, self.looks, seconds)
        verdicts = {variant: each.verdict for (variant, _), each in self.looks.judgements.items()}
        return SimpleNamespace(counts=Counter(self.measured), verdicts=verdicts)

    def row(self, name, variant=MINI):
        return next(row for row in make_rows(self.runs[name].records()) if row.variant == variant)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A schedule of one variant."""
    return placed(tmp_path, monkeypatch, MINI)


@pytest.fixture
def place_of_two(tmp_path, monkeypatch):
    """A schedule of two variants."""
    return placed(tmp_path, monkeypatch, MINI, OTHER)


def placed(folder, monkeypatch, *variants) -> Place:
    found = Place(folder, variants)
    monkeypatch.setattr("harness.ab.schedule.measure_block", found.measure_block)
    monkeypatch.setattr("harness.ab.schedule.time", SimpleNamespace(monotonic=lambda: found.now))
    return found


ASTRAY = [0.8, 1.25, 0.85, 1.2, 0.9, 1.1] * 5


# looks


def test_it_stops_when_all_is_decided(place):
    assert place.run().counts == {(MINI, "look"): 6}
    assert place.said[-1] == "after 6 blocks: 0 of 1 variants have an undecided metric"


def test_what_is_undecided_goes_on_to_twelve_blocks(place):
    place.ratios[MINI] = [0.5, *[1.0] * 20]
    found = place.run()
    assert found.counts == {(MINI, "look"): 12}
    assert found.verdicts == {MINI: "unchanged"}


def test_what_stays_undecided_ends_at_twenty_blocks(place):
    place.ratios[MINI] = ASTRAY
    found = place.run()
    assert found.counts == {(MINI, "look"): 20}
    assert found.verdicts == {MINI: "undecided"}


def test_only_variants_that_are_undecided_go_on(place_of_two):
    place_of_two.ratios[OTHER] = ASTRAY
    assert place_of_two.run().counts == {(MINI, "look"): 6, (OTHER, "look"): 20}


def test_every_round_visits_each_variant_once(place_of_two):
    place_of_two.run()
    rounds = [place_of_two.measured[start : start + 2] for start in range(0, 12, 2)]
    assert all({variant for variant, _ in each} == {MINI, OTHER} for each in rounds)
    assert len({each[0] for each in rounds}) == 2


def test_the_order_is_that_of_the_seed(tmp_path, monkeypatch):
    def order(folder, seed):
        found = placed(tmp_path / folder, monkeypatch, MINI, OTHER)
        found.schedule._order = random.Random(seed)
        found.run()
        return found.measured

    assert order("one", 1) == order("two", 1) != order("three", 5)


def test_no_variants_are_measured_where_there_are_none(tmp_path, monkeypatch):
    assert placed(tmp_path, monkeypatch).run().counts == {}


# confirmation


@pytest.mark.parametrize(("ratio", "verdict"), [(0.5, "regressed"), (2.0, "improved")])
def test_a_change_is_confirmed_by_fresh_blocks(place, ratio, verdict):
    place.ratios[MINI] = [ratio]
    found = place.run()
    assert found.counts == {(MINI, "look"): 6, (MINI, "confirm"): CONFIRMING}
    assert found.verdicts == {MINI: verdict}


def test_a_change_that_fresh_blocks_do_not_show_is_undecided(place):
    place.ratios[MINI] = [*[0.5] * 6, 1.0]
    assert place.run().verdicts == {MINI: "undecided"}


def test_only_variants_that_changed_are_confirmed(place_of_two):
    place_of_two.ratios[MINI] = [0.5]
    found = place_of_two.run()
    assert found.counts == {(MINI, "look"): 12, (MINI, "confirm"): CONFIRMING, (OTHER, "look"): 6}
    assert found.verdicts == {MINI: "regressed", OTHER: "unchanged"}


def test_a_variant_that_fails_while_it_is_confirmed_is_undecided(place):
    place.ratios[MINI] = [0.5]
    place.failing = lambda variant, number: NEW if number == 8 else None
    assert place.run().verdicts == {MINI: "undecided"}
    assert place.row(NEW).status == "failed"


# disturbed blocks


def test_a_disturbed_block_is_measured_again(place):
    place.disturbed = lambda variant, number: ("throttled",) if number == 2 else ()
    found = place.run()
    assert found.counts == {(MINI, "look"): 7}
    assert found.verdicts == {MINI: "unchanged"}
    assert len(usable(place.schedule.blocks, MINI)) == 6
    assert f"{MINI}, block 3: disturbed (throttled); not used" in place.said


def test_a_machine_that_is_always_disturbed_is_given_up(place):
    place.disturbed = lambda variant, number: ("throttled",)
    found = place.run()
    assert found.verdicts == {}
    assert 6 < found.counts[MINI, "look"] <= 60


def test_disturbed_confirming_blocks_are_measured_again(place):
    place.ratios[MINI] = [0.5]
    place.disturbed = lambda variant, number: ("throttled",) if number == 7 else ()
    found = place.run()
    assert found.counts == {(MINI, "look"): 6, (MINI, "confirm"): CONFIRMING + 1}
    assert found.verdicts == {MINI: "regressed"}


def test_each_look_has_spare_blocks_for_half_of_those_that_it_adds(place):
    place.ratios[MINI] = ASTRAY
    place.disturbed = lambda variant, number: ("throttled",) if number >= 12 else ()
    assert place.run().counts[MINI, "look"] <= 12 + 8 * 1.5


def test_blocks_of_a_look_that_was_missed_are_judged_at_the_next(place):
    place.disturbed = lambda variant, number: () if number % 3 == 0 else ("throttled",)
    found = place.run()
    assert len(usable(place.schedule.blocks, MINI)) >= 6
    assert found.verdicts == {MINI: "unchanged"}


# time


def test_no_block_is_begun_when_the_time_is_up(place):
    found = place.run(seconds=-1)
    assert found.counts == {}
    assert found.verdicts == {}


def test_blocks_that_were_measured_in_time_are_told(place):
    assert place.run(seconds=3.5).verdicts == {MINI: "undecided"}
    assert place.looks.judgements[MINI, DECODE].reason == "4 of 6 blocks"


def test_blocks_between_two_looks_decide_nothing(place):
    place.ratios[MINI] = ASTRAY
    assert place.run(seconds=8.5).counts == {(MINI, "look"): 9}
    assert place.looks.judgements[MINI, DECODE].ratio.n == 6


def test_a_change_is_confirmed_though_the_time_is_up(place):
    place.ratios[MINI] = [0.5]
    found = place.run(seconds=5.5)
    assert found.counts == {(MINI, "look"): 6, (MINI, "confirm"): CONFIRMING}
    assert found.verdicts == {MINI: "regressed"}


# arms that fail


def test_a_variant_that_fails_is_not_measured_again(place_of_two):
    place_of_two.failing = lambda variant, number: NEW if variant == MINI and number == 3 else None
    found = place_of_two.run()
    assert found.counts == {(MINI, "look"): 3, (OTHER, "look"): 6}
    assert found.verdicts == {MINI: "undecided", OTHER: "unchanged"}


@pytest.mark.parametrize(("arm", "side", "other"), [(NEW, NEW, BASE), (AGAIN, BASE, NEW), (BASE, BASE, NEW)])
def test_a_failure_is_recorded_in_the_run_of_its_side(place, arm, side, other):
    place.failing = lambda variant, number: arm if number == 3 else None
    place.run()
    assert (place.row(side).status, place.row(side).reason) == ("failed", "timing: no kernel")
    assert place.row(other).status != "failed"
    assert f"{MINI} failed on {side} (abc): no kernel" in place.said


def test_a_variant_that_fails_at_once_has_no_verdict(place):
    place.failing = lambda variant, number: NEW
    assert place.run().verdicts == {}
    assert place.row(NEW).status == "failed"


# the ledger


def test_all_blocks_are_stored(place):
    place.ratios[MINI] = [0.5]
    place.disturbed = lambda variant, number: ("throttled",) if number == 2 else ()
    place.run()
    assert BlockStore(place.folder).read() == place.schedule.blocks
    assert [block.number for block in place.schedule.blocks] == list(range(7 + CONFIRMING))


def test_blocks_are_rounds_of_both_runs(place):
    place.ratios[MINI] = [0.5]
    place.run()
    for name, value in ((BASE, 100.0), (NEW, 50.0)):
        found = place.row(name).metrics[DECODE]
        assert found.estimate.value == value
        assert list(found.rounds) == list(range(6))


def test_what_a_score_printed_does_not_stand_in_the_timings(place):
    closing = next(each for each in place.runs[NEW].records() if each.fact is None)
    place.runs[NEW].store.append([replace(closing, status="failed", facts=0, stderr_tail="a traceback")])
    place.schedule = Schedule(ARMS, Timing(), Ledger(place.folder, place.runs), 0, place.said.append)
    place.run()
    assert {each.stderr_tail for each in place.runs[NEW].records() if each.kind == "time"} == {""}


def test_disturbed_blocks_are_marked_in_the_runs(place):
    place.disturbed = lambda variant, number: ("throttled",) if number == 2 else ()
    place.run()
    closings = [each for each in place.runs[NEW].records() if each.kind == "time" and each.fact is None]
    assert [each.conditions["disturbed"] for each in closings] == [[], [], ["throttled"], [], [], [], []]
