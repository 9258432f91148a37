from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.corpora.corruption import IGNORED, corrupt_spans, mask_tokens

SENTINELS = np.arange(900, 1000)
END = 1


@given(st.integers(2, 300), st.integers(0, 1000), st.floats(0.05, 0.5))
def test_source_and_target_together_hold_the_whole_block(length, seed, share):
    ids = np.arange(2, 2 + length)
    found = corrupt_spans(ids, np.random.default_rng(seed), share, 3.0, SENTINELS, END)
    kept = [t for t in found.source if t < 900 and t != END]
    restored = [t for t in found.target if t < 900 and t != END]
    assert sorted([*kept, *restored]) == list(ids)
    assert (ids[found.origin[found.origin >= 0]] == found.target[found.origin >= 0]).all()


@given(st.integers(10, 300), st.integers(0, 1000))
def test_sentinels_stand_in_the_same_order_in_source_and_target(length, seed):
    found = corrupt_spans(np.arange(2, 2 + length), np.random.default_rng(seed), 0.15, 3.0, SENTINELS, END)
    in_source = [t for t in found.source if t >= 900]
    assert in_source == [t for t in found.target if t >= 900]
    assert in_source == list(SENTINELS[: len(in_source)])


def test_blocks_of_one_length_give_sources_of_one_length():
    lengths = {
        (len(c.source), len(c.target))
        for seed in range(50)
        for c in [corrupt_spans(np.arange(2, 130), np.random.default_rng(seed), 0.15, 3.0, SENTINELS, END)]
    }
    assert len(lengths) == 1


def test_more_spans_than_sentinels_is_refused():
    with pytest.raises(ValueError, match="sentinels"):
        corrupt_spans(np.arange(200), np.random.default_rng(0), 0.5, 1.0, SENTINELS[:3], END)


@given(st.integers(1, 200), st.integers(0, 1000), st.floats(0.01, 0.9))
def test_masked_positions_keep_their_label_and_others_are_ignored(length, seed, share):
    ids = np.arange(10, 10 + length)
    found = mask_tokens(ids, np.random.default_rng(seed), share, mask_id=5, vocabulary=300)
    chosen = found.labels != IGNORED
    assert chosen.sum() == max(1, round(share * length))
    assert (found.labels[chosen] == ids[chosen]).all()
    assert (found.ids[~chosen] == ids[~chosen]).all()


def test_four_in_five_chosen_tokens_become_the_mask():
    found = mask_tokens(np.arange(10, 20_010), np.random.default_rng(0), 0.5, mask_id=5, vocabulary=300)
    chosen = found.labels != IGNORED
    assert (found.ids[chosen] == 5).mean() == pytest.approx(0.8, abs=0.02)
    assert (found.ids[chosen] == found.labels[chosen]).mean() == pytest.approx(0.1, abs=0.02)


def test_the_same_seed_freezes_the_masks():
    ids = np.arange(100, 200)
    first, second = (mask_tokens(ids, np.random.default_rng(3), 0.15, 5, 300) for _ in range(2))
    assert (first.ids == second.ids).all()
