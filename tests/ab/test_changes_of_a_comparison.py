"""What becomes of blocks in the comparison of two runs: times from the blocks, everything else from the runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from builders import a_block, quality_fact
from stored_runs import NATS, VARIANT, a_run, a_variant, failed

from harness.ab.checkouts import Checkout
from harness.ab.driver import Comparison, _changes, _unmeasured
from harness.records.blocks import Block
from harness.selection.looks import Looks
from harness.selection.regressions import Verdicts, compare_runs

DECODE, PREFILL, LOAD, SIZE = (
    "decode_tokens_per_second", "prefill_tokens_per_second", "load_seconds", "weights_bytes",
)  # fmt: skip
BASE = {DECODE: 100.0, PREFILL: 1000.0, LOAD: 0.5}
SLOWER = {DECODE: 50.0, PREFILL: 500.0, LOAD: 1.0}
MOVED = [each * (1.002 if index % 2 else 0.998) for index, each in enumerate(NATS)]
"""What the same model finds with its sums in another order."""


def blocks(new: dict[str, float] = BASE, count: int = 6, **other) -> list[Block]:
    return [a_block(number, BASE, new, **other) for number in range(count)]


def looked(found: list[Block]) -> Looks:
    looks = Looks({})
    looks.look(found, len(found))
    return looks


def compared(found: list[Block], base: list, new: list) -> Verdicts:
    """The comparison of two runs that were timed side by side in these blocks, as ``harness ab`` makes it."""
    looks, runs = looked(found), (a_run("base", base), a_run("latest", new))
    timings = _changes(looks, found) | _unmeasured(runs[1], [VARIANT], looks, found)
    return compare_runs(*runs, {}, timings=timings)


def verdicts(made: Verdicts) -> dict[str, str]:
    return {change.metric: change.judgement.verdict for change in made.changes}


def test_times_come_from_the_blocks_and_sizes_from_the_runs():
    made = compared(
        blocks(SLOWER),
        a_variant(exact={SIZE: 100.0}, rounds={DECODE: [1.0] * 6}),
        a_variant(exact={SIZE: 100.0}, rounds={DECODE: [9.0] * 6}),
    )
    assert made.overall == "regressed"
    assert verdicts(made) == {SIZE: "unchanged", DECODE: "regressed", PREFILL: "regressed", LOAD: "regressed"}


def test_a_change_has_the_medians_of_its_arms():
    made = _changes(looked(blocks(SLOWER)), [*blocks(SLOWER), *blocks(count=3, disturbed=("throttled",))])
    assert (made[VARIANT, DECODE].base, made[VARIANT, DECODE].new) == (100.0, 50.0)


def test_a_slow_down_of_everything_stands_though_qualities_moved_a_little():
    quality = ("perplexity", "byte_perplexity", "word_perplexity", "bits_per_byte")
    facts = {
        name: [quality_fact(metric, nats) for metric in quality] for name, nats in (("base", NATS), ("new", MOVED))
    }
    made = compared(blocks(SLOWER), a_variant(quality=facts["base"]), a_variant(quality=facts["new"]))
    assert {metric: verdicts(made)[metric] for metric in (DECODE, PREFILL, LOAD)} == dict.fromkeys(
        (DECODE, PREFILL, LOAD), "regressed"
    )
    assert made.overall == "regressed"


# variants without a verdict


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "no block was measured in the time"),
        (blocks(disturbed=("throttled",)), "every block was disturbed: throttled"),
    ],
)
def test_a_variant_without_a_usable_block_is_undecided(found, reason):
    made = compared(found, a_variant(exact={SIZE: 100.0}), a_variant(exact={SIZE: 100.0}))
    assert made.overall == "undecided"
    (change,) = [change for change in made.changes if change.metric == DECODE]
    assert (change.judgement.verdict, change.judgement.reason) == ("undecided", reason)


def test_a_variant_that_fails_in_the_new_revision_is_a_regression():
    made = compared([], a_variant(exact={SIZE: 100.0}), failed())
    assert made.overall == "regressed"
    assert [each.reason for each in made.newly_failing] == ["no kernel"]


def test_variants_without_a_usable_block_keep_their_order():
    names = [f"mini-{number}/torch/fp32/cpu" for number in range(9)]
    run = a_run("latest", *(a_variant(name) for name in names))
    assert [variant for variant, _ in _unmeasured(run, names, Looks({}), [])] == names


# what is said of it


def about(found: list[Block]) -> str:
    checkouts = {"base": Checkout("abc", None), "new": Checkout("def with uncommitted changes", None)}
    made = Comparison(None, {}, checkouts, found, SimpleNamespace(), 90.0)
    return " ".join(made.about())


def test_it_says_what_was_compared_and_how():
    text = about([*blocks(), *blocks(count=1, disturbed=("throttled",)), *blocks(count=4, variant="other")])
    assert text.startswith("Base is abc, new is def with uncommitted changes. ")
    assert "in 1.5 minutes: 4 to 7 blocks a variant, 1 blocks disturbed and not used." in text


def test_it_says_that_there_are_no_blocks():
    assert "no blocks a variant" in about([])
