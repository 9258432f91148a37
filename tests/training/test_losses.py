"""The loss in chunks against the plain one, and against a hand computation for each objective."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from harness.candidates.checkpoint import Checkpoint, load_model, load_tokenizer
from harness.training import losses
from harness.training.head import labelled, rows_at_once
from harness.training.losses import LossModel, linear_cross_entropy
from harness.training.objectives import Objective
from harness.training.recipe import frozen_batches

ROWS, WIDTH, ENTRIES = 23, 8, 50


def case(bias: bool = True):
    torch.manual_seed(0)
    hidden = torch.randn(ROWS, WIDTH, requires_grad=True)
    weight = torch.randn(ENTRIES, WIDTH, requires_grad=True)
    offset = torch.randn(ENTRIES, requires_grad=True) if bias else None
    return hidden, weight, offset, torch.randint(ENTRIES, (ROWS,))


def plain(hidden, weight, bias, labels, z_loss):
    logits = torch.nn.functional.linear(hidden, weight, bias)
    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    return loss + z_loss * (torch.logsumexp(logits, -1) ** 2).sum()


@pytest.mark.parametrize("rows", [1, 3, 10**6], ids=["a row", "three rows", "all rows"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_loss_and_gradients_are_those_of_the_whole_logits(monkeypatch, rows, bias, z_loss):
    monkeypatch.setattr(losses, "rows_at_once", lambda weight: rows)
    found, expected = [], []
    for function, kept in ((linear_cross_entropy, found), (plain, expected)):
        hidden, weight, offset, labels = case(bias)
        loss = function(hidden, weight, offset, labels, z_loss)
        (loss / 7).backward()
        kept += [loss.detach(), hidden.grad, weight.grad, *([offset.grad] if bias else [])]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("entries", "width", "rows"),
    [(4096, 96, 1024), (25_000, 768, 671), (50_257, 768, 333), (10**8, 1, 1)],
    ids=["16 MiB at least", "64 MiB at most", "64 MiB for GPT-2", "never no row"],
)
def test_a_chunk_has_about_as_many_logits_as_the_head_has_weights(entries: int, width: int, rows: int):
    assert rows_at_once(torch.empty(entries, width, device="meta")) == rows


def test_no_rows_cost_nothing():
    _, weight, bias, _ = case()
    loss = linear_cross_entropy(torch.zeros(0, WIDTH), weight, bias, torch.zeros(0, dtype=torch.long), 0.0)
    assert loss.item() == 0


def test_a_hand_computed_loss():
    """Two rows of logits (0, ln 3) and (ln 4, 0): probabilities 3/4 and 1/5 of the entry labelled 1."""
    hidden = torch.tensor([[0.0, math.log(3)], [math.log(4), 0.0]])
    loss = linear_cross_entropy(hidden, torch.eye(2), None, torch.tensor([1, 1]), 0.0)
    assert loss.item() == pytest.approx(-math.log(3 / 4) - math.log(1 / 5), rel=1e-6)


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_a_model_gives_the_sum_of_its_own_loss(tiny_checkpoints: dict[str, Checkpoint], family: str):
    checkpoint = tiny_checkpoints[family]
    model, tokenizer = load_model(checkpoint.path, family), load_tokenizer(checkpoint.path)
    share = 0.5 if family == "seq2seq" else 0.15
    (batch, *_) = frozen_batches(Objective(family, tokenizer, 32, share), np.arange(5, 5 + 128) % len(tokenizer), 0)
    with torch.inference_mode():
        total, own = LossModel(model)(**batch), model(**batch).loss
    assert total.item() == pytest.approx(own.item() * labelled(model, batch["labels"]).item(), rel=1e-5)


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_the_loss_of_each_objective_is_the_mean_of_log_probabilities_by_hand(tiny_checkpoints, family: str):
    checkpoint = tiny_checkpoints[family]
    model, tokenizer = load_model(checkpoint.path, family), load_tokenizer(checkpoint.path)
    share = 0.5 if family == "seq2seq" else 0.15
    (batch, *_) = frozen_batches(Objective(family, tokenizer, 32, share), np.arange(5, 5 + 64) % len(tokenizer), 0)
    inputs = {name: each for name, each in batch.items() if name != "labels"}
    with torch.inference_mode():
        logits, total = model(**inputs).logits.double().numpy(), LossModel(model)(**batch)
    by_hand = []
    for row, labels in enumerate(batch["labels"].numpy()):
        for position, label in enumerate(labels):
            seen = position - 1 if family == "causal" else position
            if label != -100 and seen >= 0:
                scores = logits[row, seen]
                by_hand.append(math.log(sum(math.exp(each) for each in scores)) - scores[label])
    assert labelled(model, batch["labels"]).item() == len(by_hand)
    assert total.item() == pytest.approx(sum(by_hand), rel=1e-4)


def test_z_loss_is_for_training_only(tiny_checkpoints):
    model = load_model(tiny_checkpoints["causal"].path, "causal")
    ids = torch.arange(5, 37)[None]
    with_it, without = LossModel(model, z_loss=0.1), LossModel(model)
    with torch.no_grad():
        assert with_it.eval()(input_ids=ids, labels=ids) == without.eval()(input_ids=ids, labels=ids)
        assert with_it.train()(input_ids=ids, labels=ids) > without.train()(input_ids=ids, labels=ids)
