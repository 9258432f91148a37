"""``[training]`` of a suite: keys over those of every candidate that is trained here."""

from __future__ import annotations

import pytest

from harness.candidates.catalogue import resolve
from harness.errors import HarnessError
from harness.suites.loader import load_suite

SUITE = 'candidates = ["distilgpt2-mini", "smollm2-135m"]\nvariants = ["torch/fp32"]\n'


def test_keys_reach_shipped_candidates_and_their_teachers(load):
    found = load(whole=SUITE + "[training]\nmax_steps = 7\nlearning_rate = 0.5\n")
    candidate = resolve("distilgpt2-mini", found.candidate)
    for each in (candidate, candidate.teacher):
        assert (each.spec.training.max_steps, each.spec.training.learning_rate) == (7, 0.5)
    assert candidate.spec.training.tokens == resolve("distilgpt2-mini", {}).spec.training.tokens
    assert resolve("smollm2-135m", found.candidate).spec == resolve("smollm2-135m", {}).spec


def test_a_budget_takes_the_place_of_one_of_the_other_kind(load):
    candidate = resolve("distilgpt2-mini", load(whole=SUITE + "[training]\nepochs = 2\n").candidate)
    assert (candidate.spec.training.tokens, candidate.spec.training.epochs) == (None, 2)


def test_the_command_line_sets_them_too():
    suite = load_suite("wikitext2", ["training.max_steps=3"]).suite
    assert {resolve(name, suite.candidate).spec.training.max_steps for name in suite.candidates} == {3}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("max_stepps = 7", r"unknown key 'max_stepps' \(did you mean 'max_steps'"),
        ('recipe = "tuned"', "unknown key 'recipe'"),
        ("max_steps = 0", "greater than or equal to 1"),
        ("accumulate = 3", "no multiple of accumulate 3"),
    ],
)
def test_what_fits_no_training_is_refused(load, line: str, problem: str):
    with pytest.raises(HarnessError, match=problem):
        load(whole=SUITE + f"[training]\n{line}\n")
