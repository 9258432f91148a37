"""Sweeps over prompt lengths and batch sizes, on a session and a clock that are made up."""

from __future__ import annotations

import numpy as np
import pytest
from test_timing import Clock, Steady

from harness.speed.sweep import sweep
from harness.speed.timing import Timing

IDS = np.arange(30)


def test_nothing_is_swept_unless_asked_for():
    clock = Clock()
    assert sweep(Steady(clock), IDS, Timing(), clock) is None


def test_a_causal_model_is_timed_at_each_prompt_length_and_in_no_batches():
    clock = Clock()
    timing = Timing(new_tokens=11, sweep_prompt_tokens=(10, 100), sweep_batch_sizes=(4,))
    samples = sweep(Steady(clock), IDS, timing, clock).samples
    assert [(sample["batch_size"], sample["prompt_tokens"]) for sample in samples] == [(1, 10), (1, 100)]
    assert [sample["prefill_tokens_per_second"] for sample in samples] == pytest.approx([20, 200])
    assert [sample["decode_tokens_per_second"] for sample in samples] == pytest.approx([100, 100])


def test_a_masked_model_is_timed_at_each_length_and_in_each_batch():
    clock = Clock()
    timing = Timing(prompt_tokens=50, sweep_prompt_tokens=(10,), sweep_batch_sizes=(2, 4))
    samples = sweep(Steady(clock, "masked"), IDS, timing, clock).samples
    assert [(sample["batch_size"], sample["prompt_tokens"]) for sample in samples] == [(1, 10), (2, 50), (4, 50)]
    assert all(sample["encode_tokens_per_second"] == pytest.approx(1000) for sample in samples)


def test_a_length_that_does_not_fit_the_model_is_left_out_with_a_word():
    clock = Clock()
    fits, too_long = sweep(Steady(clock), IDS, Timing(new_tokens=11, sweep_prompt_tokens=(189, 190)), clock).samples
    assert "prefill_tokens_per_second" in fits
    assert too_long == {
        "batch_size": 1,
        "prompt_tokens": 190,
        "left_out": "201 tokens are more than the model's 200 positions",
    }


def test_a_sweep_is_no_value_of_a_row():
    clock = Clock()
    assert sweep(Steady(clock), IDS, Timing(new_tokens=3, sweep_prompt_tokens=(10,)), clock).value is None
