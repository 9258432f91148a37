"""``harness train`` as a user runs it."""

from __future__ import annotations

import pytest

from harness.candidates.checkpoint import open_checkpoint

SUITE = ("--suite", "tiny.toml")
STEPS = ("--set", "training.max_steps=20")  # a training of this module's own, in no cache before it


@pytest.fixture(scope="module")
def trained(harness):
    return harness("train", "tiny-gpt2", *SUITE, *STEPS)


def test_it_shows_the_curve_and_where_the_checkpoint_is(trained):
    assert trained.returncode == 0, trained.stderr
    assert "validation loss" in trained.stdout
    assert "plateau" in trained.stdout
    assert "a block of the validation split" in trained.stdout
    assert trained.stderr.splitlines()[-1].startswith("checkpoint: ")


def test_what_is_trained_is_taken_from_the_cache_the_next_time(trained, harness):
    again = harness("train", "tiny-gpt2", *SUITE, *STEPS)
    assert "times from outside" in trained.stdout
    without = "".join(part for part in trained.stdout.split("\n\n") if "times from outside" not in part)
    assert "".join(again.stdout.split("\n\n")) == without
    assert again.stderr.splitlines()[-1] == trained.stderr.splitlines()[-1]


def test_a_copy_goes_to_a_new_folder_whole(trained, harness, tmp_path):
    folder = tmp_path / "mine"
    done = harness("train", "tiny-gpt2", *SUITE, *STEPS, "--out", str(folder))
    assert done.returncode == 0, done.stderr
    open_checkpoint(folder, "causal")
    assert {"README.md", "training_arguments.json", "training.json"} <= {each.name for each in folder.iterdir()}
    refused = harness("train", "tiny-gpt2", *SUITE, *STEPS, "--out", str(folder))
    assert refused.returncode == 2
    assert "expected a new or empty folder" in refused.stderr


def test_the_recipe_can_be_changed(trained, harness):
    done = harness("train", "tiny-gpt2", *SUITE, "--set", "training.max_steps=3")
    assert "384 tokens seen" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("tiny-gpt3",), "unknown candidate 'tiny-gpt3' (did you mean 'tiny-gpt2'?)"),
        (("smollm2-135m",), "candidate 'smollm2-135m' is published: it is not trained here"),
        (("tiny-gpt2", "--set", "training.batch_size=0"), "greater than or equal to 1"),
        (("tiny-gpt2", "--push-to", "a/b/c"), "--push-to a/b/c"),
    ],
)
def test_bad_input_is_one_line(harness, arguments, problem):
    done = harness("train", *arguments, *SUITE)
    assert done.returncode == 2
    assert problem in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
