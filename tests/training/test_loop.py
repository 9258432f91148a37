"""Resuming a run and accumulating a step give what one undisturbed run gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import TINY

from harness.candidates.checkpoint import load_tokenizer
from harness.candidates.spec import TrainingSpec
from harness.training import loop
from harness.training.loop import STATE, Loop, Watch
from harness.training.losses import LossModel
from harness.training.models import build_model
from harness.training.objectives import BlockExamples, Objective

STEPS = 8


class Killed(Exception):
    """Stands for the end of the process."""


class Told:
    """A watch that keeps what it was told, and kills the run after a step."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.losses: list[float] = []
        self.kill_at = kill_at

    def logged(self, step: int, values: dict[str, float]) -> None:
        if step == self.kill_at:
            raise Killed
        self.losses.append(values["loss"])

    def watch(self) -> Watch:
        return Watch(self.logged, lambda step: False, lambda step, model: None, self.state, self.restore)

    def state(self) -> dict[str, list[float]]:
        return {"losses": self.losses}

    def restore(self, state: dict[str, list[float]]) -> None:
        self.losses = list(state["losses"])


def trained(tokenizer, told: Told | None = None, unfinished=None, dropout: float = 0.0, **keys):
    """The weights after a short training, and the losses on the way."""
    told = told or Told()
    recipe = TrainingSpec(tokens=1, block_size=32, batch_size=4, learning_rate=5e-3, **keys)
    torch.manual_seed(0)
    model = build_model(TINY["causal"], tokenizer)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    objective = Objective("causal", tokenizer, 32, 0.15)
    examples = BlockExamples(objective, np.arange(4000) % len(tokenizer), STEPS * 4, seed=0)
    Loop(LossModel(model), examples, recipe, STEPS, told.watch(), unfinished).run()
    return {name: each.detach().clone() for name, each in model.named_parameters()}, told.losses


@pytest.fixture
def tokenizer(tiny_checkpoints):
    torch.set_num_threads(1)
    return load_tokenizer(tiny_checkpoints["causal"].path)


def assert_same(one, other, **tolerance):
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], **(tolerance or {"rtol": 0, "atol": 0}))


@pytest.mark.parametrize("kill_at", [2, 5, STEPS])
@pytest.mark.parametrize("keys", [{}, {"average": 0.9}, {"dropout": 0.2}], ids=["plain", "averaged", "dropout"])
def test_a_run_that_was_killed_ends_bit_for_bit_as_one_that_was_not(tokenizer, tmp_path, monkeypatch, kill_at, keys):
    whole, losses = trained(tokenizer, **keys)
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)
    with pytest.raises(Killed):
        trained(tokenizer, Told(kill_at), tmp_path, **keys)
    assert (tmp_path / STATE).exists()
    resumed, losses_again = trained(tokenizer, None, tmp_path, **keys)
    assert_same(resumed, whole)
    assert losses_again == losses


def test_what_is_kept_is_whole_or_absent(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)
    trained(tokenizer, None, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [STATE]


def test_nothing_is_kept_before_its_time(tokenizer, tmp_path):
    trained(tokenizer, None, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_in_parts_gives_the_step_of_a_whole_one(tokenizer):
    whole, losses = trained(tokenizer)
    parts, losses_of_parts = trained(tokenizer, accumulate=4)
    assert losses_of_parts == pytest.approx(losses, rel=1e-4)
    assert_same(parts, whole, rtol=1e-2, atol=1e-4)


def test_an_average_lags_behind_the_weights(tokenizer):
    (plain, _), (averaged, _) = trained(tokenizer), trained(tokenizer, average=0.999)
    name = "transformer.wte.weight"
    assert not torch.equal(plain[name], averaged[name])


def test_bf16_products_train_fp32_weights(tokenizer):
    weights, losses = trained(tokenizer, precision="bf16")
    assert {each.dtype for each in weights.values()} == {torch.float32}
    assert losses[-1] < losses[0]
