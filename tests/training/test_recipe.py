from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY

from harness.candidates.checkpoint import load_tokenizer, open_checkpoint
from harness.corpora.corpus import Corpus, Document
from harness.errors import HarnessError
from harness.training.curve import CURVE
from harness.training.models import build_model, start_at_unigram
from harness.training.objectives import BlockExamples, Objective
from harness.training.recipe import train


def _silent(share: float, word: str) -> None:
    return


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_training_beats_word_frequencies_and_keeps_its_curve(tiny_checkpoints, family: str):
    curve = json.loads((tiny_checkpoints[family].path / CURVE).read_text())
    assert len(curve["validation"]) == 2
    assert curve["validation"][-1]["loss"] < curve["unigram_loss"]
    assert curve["steps"][0]["loss"] > curve["steps"][-1]["loss"]


def test_the_same_seed_and_threads_give_the_same_weights(corpus: Corpus, tiny_checkpoints, tmp_path: Path):
    torch.set_num_threads(1)
    train(TINY["causal"], corpus, tmp_path, _silent)
    assert open_checkpoint(tmp_path, "causal").weights_hash == tiny_checkpoints["causal"].weights_hash


def test_a_learning_rate_that_diverges_is_stopped_with_the_step(corpus: Corpus, tmp_path: Path):
    recipe = TINY["causal"].training.model_copy(update={"learning_rate": 1e30, "warmup": 0.0, "clip_norm": 1e30})
    with pytest.raises(HarnessError, match="diverged at step"):
        train(TINY["causal"].model_copy(update={"training": recipe}), corpus, tmp_path, _silent)


def test_a_corpus_shorter_than_a_block_is_refused(tmp_path: Path):
    short = Corpus("short", {split: (Document("one", "a road"),) for split in ("train", "validation", "test")})
    with pytest.raises(HarnessError, match="fewer than one block of 32"):
        train(TINY["causal"], short, tmp_path, _silent)


def test_an_example_depends_on_seed_and_index_alone(tiny_checkpoints):
    tokenizer = load_tokenizer(tiny_checkpoints["masked"].path)
    objective = Objective("masked", tokenizer, 32, 0.15)
    blocks = np.arange(10, 310).reshape(10, 30)
    forward = BlockExamples(objective, blocks, 40, seed=7)
    in_order = [forward[i]["input_ids"] for i in range(40)]
    backward = BlockExamples(objective, blocks, 40, seed=7)
    for i in reversed(range(40)):
        assert torch.equal(backward[i]["input_ids"], in_order[i])


def test_masks_are_drawn_afresh_every_epoch(tiny_checkpoints):
    tokenizer = load_tokenizer(tiny_checkpoints["masked"].path)
    examples = BlockExamples(Objective("masked", tokenizer, 32, 0.15), np.arange(10, 40).reshape(1, 30), 2, seed=0)
    assert not torch.equal(examples[0]["labels"], examples[1]["labels"])


def test_a_masked_head_starts_at_word_frequencies(tiny_checkpoints):
    tokenizer = load_tokenizer(tiny_checkpoints["masked"].path)
    model = build_model(TINY["masked"], tokenizer)
    counts = np.arange(len(tokenizer))
    start_at_unigram(model, counts)
    expected = np.log((counts + 1) / (counts + 1).sum())
    assert model.get_output_embeddings().bias.detach().numpy() == pytest.approx(expected, abs=1e-5)
