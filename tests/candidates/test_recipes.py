"""Budgets and named recipes of a candidate's training."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.candidates.spec import CandidateSpec, TrainingSpec, recipes
from harness.training.recipe import step_count

TABLE = {"origin": "trained", "family": "causal", "architecture": "gpt2"}
MASKED = {"origin": "trained", "family": "masked", "architecture": "bert"}


def training(table: dict, **keys) -> TrainingSpec:
    found = CandidateSpec.model_validate({**table, "training": keys}).training
    assert found is not None
    return found


def test_the_course_is_the_protocol_of_the_published_losses():
    """6,747 steps of 8 blocks are three epochs of 17,992 blocks."""
    course = training(TABLE, recipe="course")
    assert step_count(course, 17_992) == 6_747
    assert (course.learning_rate, course.weight_decay, course.warmup) == (2e-5, 0.01, 0.0)
    assert (course.block_size, course.batch_size, course.as_published) == (128, 8, True)


def test_a_recipe_may_say_more_of_a_family():
    assert training(TABLE, recipe="tuned").last_mask_share is None
    tuned = training(MASKED, recipe="tuned")
    assert (tuned.mask_share, tuned.last_mask_share) == (0.3, 0.15)


def test_own_keys_come_before_those_of_the_recipe():
    assert training(TABLE, recipe="course", learning_rate=1e-3).learning_rate == 1e-3


def test_a_budget_in_tokens_takes_the_place_of_the_recipe_s_epochs():
    found = training(TABLE, recipe="course", tokens=1000)
    assert (found.tokens, found.epochs) == (1000, None)


def test_a_recipe_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(ValidationError, match=r"unknown recipe 'tunde' \(did you mean 'tuned'"):
        training(TABLE, recipe="tunde")


@pytest.mark.parametrize("name", recipes())
@pytest.mark.parametrize("table", [TABLE, MASKED, TABLE | {"family": "seq2seq", "architecture": "t5"}])
def test_every_recipe_fits_every_family(name: str, table: dict):
    assert training(table, recipe=name).recipe == name


@pytest.mark.parametrize("keys", [{}, {"tokens": 10, "epochs": 1}], ids=["none", "two"])
def test_there_is_one_budget(keys):
    with pytest.raises(ValidationError, match="exactly one of 'tokens' and 'epochs'"):
        training(TABLE, **keys)


@pytest.mark.parametrize(
    ("keys", "steps"),
    [
        ({"tokens": 1}, 1),
        ({"tokens": 128 * 4 * 5}, 5),
        ({"tokens": 128 * 4 * 5 + 1}, 6),
        ({"epochs": 0.5}, 25),
        ({"epochs": 3}, 150),
        ({"epochs": 3, "max_steps": 7}, 7),
    ],
)
def test_steps_follow_from_the_budget(keys, steps):
    assert step_count(training(TABLE, **keys), 200) == steps


def test_a_step_is_computed_in_equal_parts():
    with pytest.raises(ValidationError, match="batch_size 4 is no multiple of accumulate 3"):
        training(TABLE, tokens=10, accumulate=3)


def test_spans_keep_their_share():
    with pytest.raises(ValidationError, match="different lengths"):
        training({**TABLE, "family": "seq2seq", "architecture": "t5"}, tokens=10, last_mask_share=0.2)


PRUNED = {"origin": "pruned", "family": "causal", "architecture": "gpt2", "teacher": "gpt2-mini",
          "training": {"tokens": 10}, "pruning": {"neurons": 0.5}}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"teacher": None}, "'teacher' goes with origins 'distilled' and 'pruned'"),
        ({"pruning": None}, "'pruning' goes with origin 'pruned'"),
        ({"pruning": {}}, "expected a share of 'heads' or 'neurons'"),
        ({"shape": {"n_layer": 2}}, "takes its teacher's 'shape'"),
        ({"origin": "distilled"}, "'pruning' goes with origin 'pruned'"),
    ],
)
def test_keys_that_do_not_fit_a_pruned_candidate_are_refused(changes, problem):
    CandidateSpec.model_validate(PRUNED)
    with pytest.raises(ValidationError, match=problem):
        CandidateSpec.model_validate(PRUNED | changes)
