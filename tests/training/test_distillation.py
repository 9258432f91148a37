from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as functional

from harness.candidates.checkpoint import Checkpoint, load_model, load_tokenizer
from harness.candidates.spec import CandidateSpec, DistillationSpec
from harness.errors import HarnessError
from harness.training import distillation
from harness.training.distillation import DistillationLoss, cosine_loss, head_distillation
from harness.training.models import build_model, start_from_teacher


def test_soft_targets_are_temperature_squared_times_the_divergence():
    student, teacher = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[2.0, 0.0, 1.0]])
    p, q = torch.softmax(teacher / 2, -1)[0], torch.softmax(student / 2, -1)[0]
    expected = 4 * sum(float(a) * math.log(float(a) / float(b)) for a, b in zip(p, q, strict=True))
    one = torch.eye(3)
    found = head_distillation(student, one, None, teacher, one, None, torch.tensor([-100]), 2.0, soft=1, hard=1)
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rows", [7, 3], ids=["at once", "in chunks"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_loss_and_gradient_are_those_of_whole_logits(monkeypatch, with_bias: bool, rows: int):
    monkeypatch.setattr(distillation, "rows_at_once", lambda weight: rows)
    torch.manual_seed(0)
    hidden, taught = torch.randn(7, 5, requires_grad=True), torch.randn(7, 6)
    weight, above = torch.randn(11, 5, requires_grad=True), torch.randn(11, 6)
    bias = torch.randn(11, requires_grad=True) if with_bias else None
    leaves = [hidden, weight, *([bias] if bias is not None else [])]
    labels = torch.tensor([3, -100, 10, 0, -100, 5, 5])

    logits, wanted = functional.linear(hidden, weight, bias), functional.linear(taught, above)
    soft = functional.kl_div(
        (logits / 3).log_softmax(-1), (wanted / 3).log_softmax(-1), reduction="sum", log_target=True
    )
    expected = 0.7 * 9 * soft + 0.2 * functional.cross_entropy(logits, labels, reduction="sum")
    found = head_distillation(hidden, weight, bias, taught, above, None, labels, 3.0, soft=0.7, hard=0.2)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for own, reference in zip(
        torch.autograd.grad(2 * found, leaves), torch.autograd.grad(2 * expected, leaves), strict=True
    ):
        torch.testing.assert_close(own, reference, rtol=1e-4, atol=1e-5)


def test_equal_models_leave_only_the_hard_loss(tiny_checkpoints: dict[str, Checkpoint]):
    model = load_model(tiny_checkpoints["causal"].path, "causal")
    ids = torch.randint(0, model.config.vocab_size, (2, 16))
    inputs = {"input_ids": ids, "labels": ids}
    spec = DistillationSpec(soft=5, hard=2, cosine=1)
    expected = 2 * model(**inputs).loss.item() / 8
    assert DistillationLoss(model, spec)(model, inputs).item() == pytest.approx(expected, rel=1e-4)


def test_hidden_states_that_point_the_same_way_cost_nothing():
    states = torch.randn(2, 3, 8)
    assert cosine_loss(states, 5 * states).item() == pytest.approx(0, abs=1e-6)
    assert cosine_loss(states, -states).item() == pytest.approx(2, abs=1e-6)


def test_a_gpt2_student_takes_every_other_layer(tiny_checkpoints: dict[str, Checkpoint]):
    teacher = load_model(tiny_checkpoints["causal"].path, "causal")
    tokenizer = load_tokenizer(tiny_checkpoints["causal"].path)
    shape = {"n_layer": 1, "n_embd": 32, "n_head": 2, "n_positions": 96}
    student = build_model(_spec("causal", "gpt2", shape), tokenizer)
    assert start_from_teacher(student, teacher) == [0]
    assert torch.equal(student.transformer.h[0].mlp.c_fc.weight, teacher.transformer.h[0].mlp.c_fc.weight)
    assert torch.equal(student.transformer.wte.weight, teacher.transformer.wte.weight)


def test_a_distilbert_student_of_all_layers_computes_what_bert_does(tiny_checkpoints: dict[str, Checkpoint]):
    teacher = load_model(tiny_checkpoints["masked"].path, "masked")
    tokenizer = load_tokenizer(tiny_checkpoints["masked"].path)
    shape = {"n_layers": 2, "dim": 32, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 96}
    student = build_model(_spec("masked", "distilbert", shape), tokenizer).eval()
    assert start_from_teacher(student, teacher) == [0, 1]
    ids = torch.randint(5, len(tokenizer), (2, 20))
    with torch.inference_mode():
        assert torch.allclose(student(input_ids=ids).logits, teacher(input_ids=ids).logits, atol=1e-4)


def test_a_student_of_another_width_is_refused_by_weight(tiny_checkpoints: dict[str, Checkpoint]):
    teacher = load_model(tiny_checkpoints["causal"].path, "causal")
    tokenizer = load_tokenizer(tiny_checkpoints["causal"].path)
    shape = {"n_layer": 1, "n_embd": 64, "n_head": 2, "n_positions": 96}
    with pytest.raises(HarnessError, match="no counterpart of shape"):
        start_from_teacher(build_model(_spec("causal", "gpt2", shape), tokenizer), teacher)


def test_gpt2_residual_projections_start_scaled_by_depth(tiny_checkpoints: dict[str, Checkpoint]):
    tokenizer = load_tokenizer(tiny_checkpoints["causal"].path)
    shape = {"n_layer": 8, "n_embd": 128, "n_head": 2, "n_positions": 32}
    model = build_model(_spec("causal", "gpt2", shape), tokenizer)
    weights = torch.cat([p.flatten() for name, p in model.named_parameters() if name.endswith("c_proj.weight")])
    # 0.02 / sqrt(2 * layers): Radford et al. 2019, section 2.3
    assert weights.std().item() == pytest.approx(0.02 / math.sqrt(2 * 8), rel=0.02)


def _spec(family: str, architecture: str, shape: dict[str, int]) -> CandidateSpec:
    training = {"tokens": 1000}
    return CandidateSpec.model_validate(
        {"origin": "trained", "family": family, "architecture": architecture, "shape": shape, "training": training}
    )
