"""What holds of every recommendation, whatever was measured."""

from __future__ import annotations

import itertools

import pytest
from builders import make_row, scored, single, timed
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.selection.eligibility import against_limits
from harness.selection.limits import Limit
from harness.selection.pareto import axes, dominated_by, front
from harness.selection.recommend import UseCase, recommend

SPEED, QUALITY, MEMORY, SIZE = "decode_tokens_per_second", "bits_per_byte", "peak_memory_bytes", "weights_bytes"
CASES = [
    UseCase("fast", ("causal",), SPEED, (QUALITY, MEMORY)),
    UseCase("good", ("causal",), QUALITY, (SPEED,)),
    UseCase("small", ("causal",), SIZE, (QUALITY,)),
    UseCase("weighed", ("causal",), weights=((QUALITY, 2.0), (SPEED, 1.0)), tie_breakers=(MEMORY,)),
]
numbers = st.floats(1, 4)
noise = st.lists(st.floats(0.9, 1.1), min_size=6, max_size=6)
"""What readings of six rounds, and the nats of six documents, are multiplied by."""


@st.composite
def rows(draw, least=1, most=7, jitter=noise):
    """Causal variants with a speed, a quality, a memory and a size."""
    found = []
    for at in range(draw(st.integers(least, most))):
        speed, loss, memory, size = (draw(numbers) for _ in range(4))
        metrics = {
            SPEED: timed([100 * speed * each for each in draw(jitter)]),
            QUALITY: scored(QUALITY, [300 * loss * each for each in draw(jitter)]),
            MEMORY: single(memory * 1e8),
            SIZE: single(size * 1e7),
        }
        found.append(make_row(f"v{at}/torch/fp32/cpu", metrics))
    return found


exact = rows(jitter=st.just([1.0] * 6))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
@settings(max_examples=40)
@given(found=rows())
def test_the_choice_is_on_the_front(case, found):
    chosen = recommend(found, case)
    assert chosen.chosen.variant in {row.variant for row in chosen.front}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
@settings(max_examples=40)
@given(found=rows(), worse=st.lists(st.floats(1, 2), min_size=4, max_size=4), data=st.data())
def test_a_candidate_that_one_on_the_front_dominates_never_changes_the_choice(case, found, worse, data):
    before = recommend(found, case)
    better = data.draw(st.sampled_from(before.front))
    speed, loss, memory, size = worse
    metrics = {
        SPEED: timed([each / speed for each in better.metrics[SPEED].rounds.values()]),
        QUALITY: scored(QUALITY, [each["nll"] * loss for each in better.metrics[QUALITY].documents.values()]),
        MEMORY: single(better.value(MEMORY) * memory),
        SIZE: single(better.value(SIZE) * size),
    }
    added = make_row("added/torch/fp32/cpu", metrics)
    if dominated_by(added, [better], axes(case, found)) is None:
        return
    at = data.draw(st.integers(0, len(found)))
    after = recommend([*found[:at], added, *found[at:]], case)
    assert after.chosen.variant == before.chosen.variant
    assert {row.variant for row in after.front} == {row.variant for row in before.front}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
@settings(max_examples=40)
@given(found=rows(), data=st.data())
def test_the_order_of_the_rows_changes_nothing(case, found, data):
    """Readings are drawn at random, so two rows are hardly ever equal in all values; then the first would win."""
    before = recommend(found, case)
    values = [[row.value(metric) for metric in (SPEED, QUALITY, MEMORY, SIZE)] for row in found]
    if any(one[at] == other[at] for one, other in itertools.combinations(values, 2) for at in range(4)):
        return
    after = recommend(data.draw(st.permutations(found)), case)
    assert after.chosen.variant == before.chosen.variant
    assert {row.variant for row in after.tied} == {row.variant for row in before.tied}
    assert {row.variant for row in after.front} == {row.variant for row in before.front}


@settings(max_examples=40)
@given(found=rows(), scale=st.floats(0.01, 100))
def test_scaling_all_weights_changes_nothing(found, scale):
    case = CASES[3]
    scaled = UseCase("w", case.families, weights=tuple((m, w * scale) for m, w in case.weights), tie_breakers=(MEMORY,))
    one, other = recommend(found, case), recommend(found, scaled)
    assert one.chosen.variant == other.chosen.variant
    assert [row.variant for row in one.tied] == [row.variant for row in other.tied]


@given(found=rows(), bound=st.floats(50, 500), tighter=st.floats(0, 200), upper=st.booleans())
def test_tightening_a_limit_never_makes_more_keep_it(found, bound, tighter, upper):
    bounds = (bound, bound - tighter if upper else bound + tighter)
    cases = [UseCase("x", ("causal",), SPEED, limits=(Limit(SPEED, "<=" if upper else ">=", each),)) for each in bounds]
    for kept in (("met",), ("met", "uncertain")):
        loose, tight = ({row.variant for row in found if against_limits(row, case)[0] in kept} for case in cases)
        assert tight <= loose


@given(found=exact)
def test_dominance_is_irreflexive_and_transitive_on_values(found):
    metrics = (SPEED, QUALITY, SIZE)
    beats = {
        (one.variant, other.variant)
        for one, other in itertools.permutations(found, 2)
        if dominated_by(other, [one], metrics) is not None
    }
    for row in found:
        assert dominated_by(row, [row], metrics) is None
    for (a, b), (c, d) in itertools.product(beats, repeat=2):
        if b == c:
            assert (a, d) in beats


@given(found=rows())
def test_dominance_has_no_cycle_of_two(found):
    for one, other in itertools.combinations(found, 2):
        assert None in (dominated_by(one, [other], (SPEED, QUALITY)), dominated_by(other, [one], (SPEED, QUALITY)))


@given(found=rows())
def test_all_that_are_not_on_the_front_are_dominated_by_one_that_is(found):
    metrics = (SPEED, QUALITY, MEMORY)
    on_front = {row.variant for row in front(found, metrics)}
    for row in found:
        by = dominated_by(row, found, metrics)
        assert (by is None) is (row.variant in on_front)
        assert by is None or by.variant in on_front


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.title)
@settings(max_examples=40)
@given(found=rows(least=2))
def test_every_variant_but_the_choice_is_a_rival_once(case, found):
    chosen = recommend(found, case)
    told = [rival.row.variant for rival in chosen.rivals]
    assert sorted([chosen.chosen.variant, *told]) == sorted(row.variant for row in found)
