"""Margins of all pairs at once, held against those of one pair at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.intervals import leave_one_out
from harness.stats.paired import paired_margins, paired_ratio_difference


@st.composite
def subjects(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Totals and weights, subjects × documents; documents have different weights for different subjects."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(2, 12)))
    totals = draw(st.lists(st.floats(-1e3, 1e3), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    weights = draw(st.lists(st.floats(0.5, 1e3), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return np.reshape(totals, shape), np.reshape(weights, shape)


def margins(totals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    pairs = zip(totals.tolist(), weights.tolist(), strict=True)
    return paired_margins(np.array([leave_one_out(mine, its) for mine, its in pairs]), weights)


@given(subjects())
def test_each_margin_is_that_of_the_pair_on_its_own(drawn):
    totals, weights = drawn
    found = margins(totals, weights)
    for base in range(len(totals)):
        for new in range(len(totals)):
            pair = (totals[base], weights[base], totals[new], weights[new])
            alone = paired_ratio_difference(*(each.tolist() for each in pair))
            assert found[base, new] == pytest.approx((alone.high - alone.low) / 2, rel=1e-6, abs=1e-9)


@given(subjects())
def test_a_subject_does_not_differ_from_itself_and_pairs_have_no_order(drawn):
    found = margins(*drawn)
    assert (np.diag(found) == 0).all()
    assert (found == found.T).all()


def test_margins_have_the_unit_of_the_moves():
    totals, weights = np.array([[1.0, 2.0, 4.0], [2.0, 3.0, 3.0]]), np.ones((2, 3))
    assert margins(10 * totals, weights) == pytest.approx(10 * margins(totals, weights))


def test_fewer_documents_widen_the_margin_of_every_pair_that_they_are_in():
    """The third subject's weight lies in one document, so it tells hardly more than one."""
    moves = np.array([[0.1, -0.1, 0.2], [0.2, -0.2, 0.1], [0.1, -0.1, 0.2]])
    found = paired_margins(moves, np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [100.0, 1.0, 1.0]]))
    assert found[2, 1] > 2 * found[0, 1]


def test_one_document_gives_no_interval():
    with pytest.raises(ValueError, match="two documents"):
        paired_margins(np.ones((2, 1)), np.ones((2, 1)))
