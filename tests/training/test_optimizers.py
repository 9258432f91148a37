from __future__ import annotations

import math

import pytest
import torch

from harness.candidates.checkpoint import load_model
from harness.candidates.spec import TrainingSpec
from harness.training.muon import Muon, orthogonal
from harness.training.optimizers import make_optimizers, make_schedule


def rates(steps: int, **keys) -> list[float]:
    """The learning rate of each step."""
    recipe = TrainingSpec(tokens=1, learning_rate=1.0, **keys)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=recipe.learning_rate)
    schedule, found = make_schedule(optimizer, recipe, steps), []
    for _ in range(steps):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return found


def test_without_warm_up_the_rate_falls_linearly_from_its_peak():
    assert rates(4, warmup=0.0) == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4])


def test_the_warm_up_rises_to_the_peak():
    assert rates(8, warmup=0.5) == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5, 1, 3 / 4, 2 / 4, 1 / 4])


def test_a_cosine_is_half_way_down_in_the_middle():
    found = rates(10, warmup=0.0, schedule="cosine")
    assert found[0] == 1
    assert found[5] == pytest.approx(0.5)
    assert found[9] == pytest.approx((1 + math.cos(0.9 * math.pi)) / 2)


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_parameter_is_moved_by_one_optimizer(tiny_checkpoints, family: str, optimizer: str):
    model = load_model(tiny_checkpoints[family].path, family)
    made = make_optimizers(model, TrainingSpec(tokens=1, optimizer=optimizer))
    moved = [id(p) for each in made for group in each.param_groups for p in group["params"]]
    assert sorted(moved) == sorted(id(p) for p in model.parameters())


def test_muon_moves_hidden_matrices_only(tiny_checkpoints):
    model = load_model(tiny_checkpoints["causal"].path, "causal")
    adamw, muon = make_optimizers(model, TrainingSpec(tokens=1, optimizer="muon"))
    hidden = {id(p) for name, p in model.named_parameters() if ".h." in name and p.ndim == 2}
    assert {id(p) for group in muon.param_groups for p in group["params"]} == hidden
    assert id(model.transformer.wte.weight) in {id(p) for group in adamw.param_groups for p in group["params"]}


def test_biases_and_normalisation_do_not_decay(tiny_checkpoints):
    model = load_model(tiny_checkpoints["causal"].path, "causal")
    (adamw,) = make_optimizers(model, TrainingSpec(tokens=1, weight_decay=0.1))
    decay = {id(p): group["weight_decay"] for group in adamw.param_groups for p in group["params"]}
    assert {decay[id(p)] for p in model.parameters() if p.ndim == 1} == {0.0}
    assert {decay[id(p)] for p in model.parameters() if p.ndim == 2} == {0.1}


@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (24, 8)])
def test_an_orthogonal_step_has_singular_values_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(3, *shape)))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_muon_goes_as_torch_s_own_does():
    """torch's computes in bf16: the directions agree to its precision, and the sizes of the steps with them."""
    torch.manual_seed(0)
    start, slopes = torch.randn(12, 20), [torch.randn(12, 20) for _ in range(3)]
    found = []
    for make in (
        lambda p: Muon([p], lr=0.01, weight_decay=0.1),
        lambda p: torch.optim.Muon([p], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ):
        matrix = torch.nn.Parameter(start.clone())
        optimizer = make(matrix)
        for slope in slopes:
            matrix.grad = slope.clone()
            optimizer.step()
        found.append(matrix.detach() - start)
    assert torch.linalg.norm(found[0] - found[1]) < 0.03 * torch.linalg.norm(found[1])
