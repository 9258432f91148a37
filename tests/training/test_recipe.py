from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY

from harness.candidates.checkpoint import load_model, load_tokenizer, open_checkpoint
from harness.corpora.corpus import Corpus, Document
from harness.corpora.corruption import IGNORED
from harness.errors import HarnessError
from harness.training.curve import CURVE
from harness.training.loop import Loop
from harness.training.models import build_model, start_at_unigram
from harness.training.objectives import BlockExamples, Objective
from harness.training.recipe import frozen_batches, train


def _silent(share: float, word: str) -> None:
    return


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_training_beats_word_frequencies_and_keeps_its_curve(tiny_checkpoints, family: str):
    curve = json.loads((tiny_checkpoints[family].path / CURVE).read_text())
    assert len(curve["validation"]) == 2
    assert curve["validation"][-1]["loss"] < curve["unigram_loss"]
    assert curve["steps"][0]["loss"] > curve["steps"][-1]["loss"]


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_the_same_seed_and_threads_give_the_same_checkpoint(corpus: Corpus, tiny_checkpoints, tmp_path, family: str):
    torch.set_num_threads(1)
    train(TINY[family], corpus, tmp_path, _silent)
    again, first = open_checkpoint(tmp_path, family), tiny_checkpoints[family]
    assert (again.weights_hash, again.tokenizer_hash) == (first.weights_hash, first.tokenizer_hash)


def test_a_learning_rate_that_diverges_is_stopped_with_the_step(corpus: Corpus, tmp_path: Path):
    recipe = TINY["causal"].training.model_copy(update={"learning_rate": 1e30, "warmup": 0.0, "clip_norm": 1e30})
    with pytest.raises(HarnessError, match="diverged at step"):
        train(TINY["causal"].model_copy(update={"training": recipe}), corpus, tmp_path, _silent)


def test_a_corpus_shorter_than_a_block_is_refused(tmp_path: Path):
    short = Corpus("short", {split: (Document("one", "a road"),) for split in ("train", "validation", "test")})
    with pytest.raises(HarnessError, match="fewer than one block of 32"):
        train(TINY["causal"], short, tmp_path, _silent)


@pytest.fixture
def objective(tiny_checkpoints) -> Objective:
    return Objective("masked", load_tokenizer(tiny_checkpoints["masked"].path), 32, 0.15)


def test_an_example_depends_on_seed_and_index_alone(objective):
    ids = np.arange(10, 310)
    forward = BlockExamples(objective, ids, 40, seed=7)
    in_order = [forward[i]["input_ids"] for i in range(40)]
    backward = BlockExamples(objective, ids, 40, seed=7)
    for i in reversed(range(40)):
        assert np.array_equal(backward[i]["input_ids"], in_order[i])


def test_masks_are_drawn_afresh_every_epoch(objective):
    examples = BlockExamples(objective, np.arange(10, 40), 2, seed=0)
    assert not np.array_equal(examples[0]["labels"], examples[1]["labels"])


def test_an_epoch_holds_every_block_once(objective):
    examples = BlockExamples(objective, np.arange(300), 20, seed=0)
    for epoch in range(2):
        starts = sorted(_block(examples[i])[0] for i in range(epoch * 10, epoch * 10 + 10))
        assert starts == list(range(0, 300, 30))


def test_shifted_blocks_start_elsewhere_every_epoch(objective):
    examples = BlockExamples(objective, np.arange(300), 20, seed=0, shift=True)
    assert examples.epoch_size == 9
    offsets = [{_block(examples[i])[0] % 30 for i in range(epoch * 9, epoch * 9 + 9)} for epoch in range(4)]
    assert all(len(each) == 1 for each in offsets)
    assert len(set.union(*offsets)) > 1


def test_the_mask_share_goes_to_its_last_value(objective):
    wide = replace(objective, mask_share=0.3)
    examples = BlockExamples(wide, np.arange(3000), 101, seed=0, last_mask_share=0.1)
    shares = [int((examples[i]["labels"] != IGNORED).sum()) / 30 for i in (0, 50, 100)]
    assert shares == pytest.approx([0.3, 0.2, 0.1], abs=0.02)


def _block(example) -> np.ndarray:
    """The text of a masked example, put together again."""
    labels = example["labels"][1:-1]
    return np.where(labels == IGNORED, example["input_ids"][1:-1], labels)


def test_validation_masks_are_those_of_every_run(objective):
    one, other = (frozen_batches(objective, np.arange(900), 20) for _ in range(2))
    assert all(torch.equal(a["labels"], b["labels"]) for a, b in zip(one, other, strict=True))
    assert sum(len(batch["labels"]) for batch in one) == 20
    assert sum(len(batch["labels"]) for batch in frozen_batches(objective, np.arange(900), 0)) == 30


def test_a_batch_that_does_not_fit_in_memory_names_the_setting(corpus, tmp_path, monkeypatch):
    def too_large(loop: Loop) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Loop, "run", too_large)
    with pytest.raises(
        HarnessError, match=r"4 blocks of 32 tokens at once do not fit in memory; training\.accumulate=2"
    ):
        train(TINY["causal"], corpus, tmp_path, _silent)


def test_a_budget_in_epochs_is_passes_over_the_corpus(corpus, tmp_path):
    keys = {"tokens": None, "epochs": 2.0, "evaluations": 2}
    recipe = TINY["causal"].training.model_copy(update=keys)
    run = train(TINY["causal"].model_copy(update={"training": recipe}), corpus, tmp_path, _silent)
    assert [entry["epoch"] for entry in run.validation] == pytest.approx([1, 2], abs=0.05)


def test_steps_are_bounded_whatever_the_budget(corpus, tmp_path):
    recipe = TINY["causal"].training.model_copy(update={"max_steps": 3})
    run = train(TINY["causal"].model_copy(update={"training": recipe}), corpus, tmp_path, _silent)
    assert run.tokens == 3 * 4 * 32


def test_the_published_architecture_keeps_dropout_and_vocabulary(corpus, tmp_path):
    shape = {**TINY["causal"].shape, "vocab_size": 700}
    recipe = TINY["causal"].training.model_copy(update={"as_published": True, "max_steps": 2})
    train(TINY["causal"].model_copy(update={"training": recipe, "shape": shape}), corpus, tmp_path, _silent)
    config = load_model(tmp_path, "causal").config
    assert (config.vocab_size, config.resid_pdrop, config.activation_function) == (700, 0.1, "gelu_new")


def test_a_masked_head_starts_at_word_frequencies(tiny_checkpoints):
    tokenizer = load_tokenizer(tiny_checkpoints["masked"].path)
    model = build_model(TINY["masked"], tokenizer)
    counts = np.arange(len(tokenizer))
    start_at_unigram(model, counts)
    expected = np.log((counts + 1) / (counts + 1).sum())
    assert model.get_output_embeddings().bias.detach().numpy() == pytest.approx(expected, abs=1e-5)
