from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import TINY

from harness.candidates.checkpoint import Checkpoint, count_parameters, load_model, load_tokenizer
from harness.candidates.spec import PruningSpec
from harness.errors import HarnessError
from harness.training.models import build_model
from harness.training.objectives import Objective
from harness.training.pruning import prune
from harness.training.recipe import frozen_batches


def parts(tiny_checkpoints, family: str):
    """A trained tiny model, and batches to prune it by."""
    checkpoint = tiny_checkpoints[family]
    model, tokenizer = load_model(checkpoint.path, family), load_tokenizer(checkpoint.path)
    objective = Objective(family, tokenizer, 32, 0.5 if family == "seq2seq" else 0.15)
    return model, frozen_batches(objective, np.arange(5, 5 + 320) % len(tokenizer), 0)


def logits(model, batch) -> torch.Tensor:
    with torch.inference_mode():
        return model(**{name: each for name, each in batch.items() if name != "labels"}).logits


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_half_of_the_neurons_go_and_the_model_can_be_stored(tiny_checkpoints, tmp_path, family: str):
    model, batches = parts(tiny_checkpoints, family)
    smaller = prune(model, PruningSpec(neurons=0.5), batches)
    assert smaller.num_parameters() < model.num_parameters()
    smaller.save_pretrained(tmp_path)
    again = load_model(tmp_path, family)
    assert torch.equal(logits(again, batches[0]), logits(smaller.eval(), batches[0]))


@pytest.mark.parametrize("family", ["causal", "masked"])
def test_a_head_of_two_goes_and_the_model_can_be_stored(tiny_checkpoints, tmp_path, family: str):
    model, batches = parts(tiny_checkpoints, family)
    smaller = prune(model, PruningSpec(heads=0.5), batches)
    assert smaller.num_parameters() < model.num_parameters()
    smaller.save_pretrained(tmp_path)
    assert count_parameters(Checkpoint(tmp_path, family, "", "")) == smaller.num_parameters()
    assert torch.equal(logits(load_model(tmp_path, family), batches[0]), logits(smaller.eval(), batches[0]))


def test_neurons_that_do_nothing_are_the_first_to_go(tiny_checkpoints):
    model, batches = parts(tiny_checkpoints, "causal")
    dead = [3, 17, 64]
    with torch.no_grad():
        for layer in model.transformer.h:
            layer.mlp.c_proj.weight[dead] = 0.0
    neurons = model.transformer.h[0].mlp.c_proj.weight.shape[0]
    smaller = prune(model, PruningSpec(neurons=len(dead) / neurons), batches)
    assert smaller.transformer.h[0].mlp.c_proj.weight.shape[0] == neurons - len(dead)
    torch.testing.assert_close(logits(smaller.eval(), batches[0]), logits(model, batches[0]), rtol=1e-4, atol=1e-5)


def test_a_head_that_does_nothing_is_the_first_to_go(tiny_checkpoints):
    model, batches = parts(tiny_checkpoints, "masked")
    with torch.no_grad():
        for layer in model.bert.encoder.layer:
            layer.attention.output.dense.weight[:, 16:] = 0.0
    smaller = prune(model, PruningSpec(heads=0.5), batches)
    assert smaller.config.pruned_heads == {0: [1], 1: [1]}
    torch.testing.assert_close(logits(smaller.eval(), batches[0]), logits(model, batches[0]), rtol=1e-4, atol=1e-5)


def test_one_head_and_one_neuron_stay(tiny_checkpoints):
    model, batches = parts(tiny_checkpoints, "masked")
    smaller = prune(model, PruningSpec(heads=0.99, neurons=0.999), batches)
    assert smaller.config.intermediate_size == 1
    assert smaller.bert.encoder.layer[0].attention.self.num_attention_heads == 1


def test_heads_that_share_a_position_bias_are_refused(tiny_checkpoints):
    model, batches = parts(tiny_checkpoints, "seq2seq")
    with pytest.raises(HarnessError, match="share their position bias"):
        prune(model, PruningSpec(heads=0.5), batches)


def test_what_was_pruned_can_be_pruned_again(tiny_checkpoints, tmp_path):
    """Of four heads two go, then one of those that are left, counted as in the whole model."""
    checkpoint = tiny_checkpoints["masked"]
    shape = {**TINY["masked"].shape, "num_attention_heads": 4}
    model = build_model(TINY["masked"].model_copy(update={"shape": shape}), load_tokenizer(checkpoint.path))
    _, batches = parts(tiny_checkpoints, "masked")
    with torch.no_grad():
        for layer in model.bert.encoder.layer:
            layer.attention.output.dense.weight[:, :16] = 0.0  # heads 0 and 1
    once = prune(model, PruningSpec(heads=0.5), batches)
    assert once.config.pruned_heads == {0: [0, 1], 1: [0, 1]}
    with torch.no_grad():
        for layer in once.bert.encoder.layer:
            layer.attention.output.dense.weight[:, :8] = 0.0  # of heads 2 and 3, the first
    twice = prune(once, PruningSpec(heads=0.5), batches)
    assert {layer: sorted(heads) for layer, heads in twice.config.pruned_heads.items()} == {0: [0, 1, 2], 1: [0, 1, 2]}
    twice.save_pretrained(tmp_path)
    assert torch.equal(logits(load_model(tmp_path, "masked"), batches[0]), logits(twice.eval(), batches[0]))
