from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.candidates.catalogue import Candidate, local_checkpoint, resolve
from harness.candidates.spec import CandidateSpec
from harness.errors import HarnessError

RANDOM = {"origin": "random", "family": "causal", "architecture": "gpt2", "shape": {"n_layer": 1}}


def test_random_weights_are_named_by_their_seed_and_by_what_their_tokenizer_is_trained_on():
    first, second = (Candidate("x", CandidateSpec.model_validate({**RANDOM, "seed": seed})) for seed in (0, 1))
    assert first.description("a") != second.description("a")
    assert first.description("a") != first.description("b")


def test_a_published_candidate_is_described_by_its_source_and_its_keys_alone():
    description = resolve("gpt2", {}).description("any corpus")
    assert description["spec"]["hub"] == "openai-community/gpt2"
    assert set(description) == {"spec"}
    assert "seed" not in description["spec"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"architecture": None}, "a random candidate needs 'architecture' and takes no 'training'"),
        ({"training": {"tokens": 10}}, "a random candidate needs 'architecture' and takes no 'training'"),
        ({"teacher": "gpt2-mini"}, "'teacher' goes with origins 'distilled' and 'pruned', and only with them"),
        ({"family": "masked"}, "architecture 'gpt2' is of family 'causal'"),
        ({"origin": "trained", "training": {"tokens": 10}, "seed": 1}, "'seed' goes with origin 'random'"),
    ],
)
def test_keys_that_do_not_fit_random_weights_are_refused(changes, problem):
    with pytest.raises(ValidationError, match=problem):
        CandidateSpec.model_validate(RANDOM | changes)


def test_nothing_is_distilled_from_random_weights():
    table = {"origin": "distilled", "family": "causal", "architecture": "gpt2", "training": {"tokens": 10}}
    pupil = CandidateSpec.model_validate({**table, "teacher": "gpt2-random"})
    with pytest.raises(HarnessError, match="its teacher 'gpt2-random' is random; it must be trained here"):
        resolve("pupil", {"pupil": pupil})


def test_a_local_folder_stands_in_for_a_published_candidate(tmp_path):
    published = resolve("bert-base-uncased", {})
    local = local_checkpoint(published, str(tmp_path))
    assert (local.origin, local.family, local.title) == ("published", "masked", published.spec.title)
    assert (local.hub, local.path) == (None, str(tmp_path))


def test_a_local_folder_does_not_stand_in_for_what_is_made_here(tmp_path):
    with pytest.raises(HarnessError, match="candidate 'gpt2-mini' is trained, so no checkpoint can stand in for it"):
        local_checkpoint(resolve("gpt2-mini", {}), str(tmp_path))
