"""Structured pruning: the heads and feed-forward neurons that a model needs least are taken out of its matrices."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.candidates.spec import PruningSpec
from harness.errors import HarnessError
from harness.training.losses import LossModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class _Layers:
    """Where an architecture keeps its feed-forward layers: modules into and out of the neurons, and the key of the
    configuration that counts them; and the module behind the heads, where these can be pruned."""

    place: str
    into: str
    out_of: str
    behind_heads: str | None = None


_LAYERS = {
    "gpt2": [_Layers("transformer.h", "mlp.c_fc", "mlp.c_proj", "attn.c_proj")],
    "bert": [_Layers("bert.encoder.layer", "intermediate.dense", "output.dense", "attention.output.dense")],
    "distilbert": [_Layers("distilbert.transformer.layer", "ffn.lin1", "ffn.lin2", "attention.out_lin")],
    "t5": [
        _Layers("encoder.block", "layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wo"),
        _Layers("decoder.block", "layer.2.DenseReluDense.wi", "layer.2.DenseReluDense.wo"),
    ],
}
_NEURONS = {"gpt2": "n_inner", "bert": "intermediate_size", "distilbert": "hidden_dim", "t5": "d_ff"}


def prune(model: PreTrainedModel, spec: PruningSpec, batches: Iterable[dict[str, Tensor]]) -> PreTrainedModel:
    """A smaller model without the share of heads and neurons, of each layer, that matter least on ``batches``.

    A unit matters by how much the loss would change to first order were it scaled to nothing: the mean over batches of
    |sum of weight * gradient| over its weights behind it (Michel et al. 2019, arXiv 1905.10650, section 4.1; Molchanov
    et al. 2017, arXiv 1611.06440, section 2.2). At least one head and one neuron a layer stay. Raises HarnessError for
    an architecture that has no such layers.
    """
    kind = model.config.model_type
    if kind not in _LAYERS:
        raise HarnessError(f"no pruning of a {kind}")
    if spec.heads and any(each.behind_heads is None for each in _LAYERS[kind]):
        raise HarnessError(f"heads of a {kind} are not pruned: its layers share their position bias; 'neurons' are")
    layers = [(each, layer) for each in _LAYERS[kind] for layer in model.get_submodule(each.place)]
    watched = [layer.get_submodule(each.out_of) for each, layer in layers]
    if spec.heads:
        watched += [layer.get_submodule(str(each.behind_heads)) for each, layer in layers]
    units = [1] * len(layers) + [_head_size(model)] * (len(watched) - len(layers))
    importances = _importances(model, watched, units, batches)
    kept = [_strongest(each, spec.neurons) for each in importances[: len(layers)]]
    smaller = _with_neurons(model, layers, kept)
    if spec.heads:
        smaller.prune_heads(_weakest_heads(model, importances[len(layers) :], spec.heads))
    return smaller


def _weakest_heads(model: PreTrainedModel, importances: list[Tensor], share: float) -> dict[int, list[int]]:
    """The heads that go, by layer, counted as in the model that none had been taken from."""
    found = {}
    for layer, importance in enumerate(importances):
        gone = model.config.pruned_heads.get(layer, [])
        there = [head for head in range(model.config.num_attention_heads) if head not in gone]
        stay = set(_strongest(importance, share).tolist())
        found[layer] = [head for place, head in enumerate(there) if place not in stay]
    return found


def _importances(
    model: PreTrainedModel, modules: list[nn.Module], sizes: list[int], batches: Iterable[dict[str, Tensor]]
) -> list[Tensor]:
    """Of the inputs of each module, in groups of a size, the mean over batches of |d loss / d scale|, [groups]."""
    loss_model = LossModel(model)
    sums = [torch.zeros(_inputs(each).shape[0] // size) for each, size in zip(modules, sizes, strict=True)]
    for batch in batches:
        model.zero_grad(set_to_none=True)
        loss_model(**batch).backward()
        for total, module, size in zip(sums, modules, sizes, strict=True):
            slopes = _inputs(module) * _inputs(module, gradient=True)
            total += slopes.sum(1).view(-1, size).sum(1).abs()
    model.zero_grad(set_to_none=True)
    return sums


def _inputs(module: nn.Module, gradient: bool = False) -> Tensor:
    """The weight of a module, or its gradient, as [inputs, outputs]: GPT-2 stores it so, others the other way round."""
    weight = module.weight
    found = (weight.grad if gradient else weight.detach()) if isinstance(weight, Tensor) else None
    if found is None:
        raise HarnessError(f"{type(module).__name__} has no weight that can be pruned")
    return found.t() if isinstance(module, nn.Linear) else found


def _strongest(importance: Tensor, share: float) -> Tensor:
    """What stays when a share of the units goes, at least one of each, in their order; all for a share of 0."""
    goes = max(1, round(share * len(importance))) if share else 0
    stays = max(1, len(importance) - goes)
    return importance.topk(stays).indices.sort().values


def _with_neurons(
    model: PreTrainedModel, layers: list[tuple[_Layers, nn.Module]], kept: list[Tensor]
) -> PreTrainedModel:
    """A model with these neurons of each layer only."""
    config = copy.deepcopy(model.config)
    setattr(config, _NEURONS[config.model_type], len(kept[0]))
    smaller = type(model)(config)
    weights = model.state_dict()
    names = {module: name for name, module in model.named_modules()}
    for (each, layer), stays in zip(layers, kept, strict=True):
        for path, axis_of_linear in ((each.into, 0), (each.out_of, 1)):
            module = layer.get_submodule(path)
            name = names[module]
            axis = axis_of_linear if isinstance(module, nn.Linear) else 1 - axis_of_linear
            weights[f"{name}.weight"] = weights[f"{name}.weight"].index_select(axis, stays)
            if path == each.into and f"{name}.bias" in weights:
                weights[f"{name}.bias"] = weights[f"{name}.bias"].index_select(0, stays)
    smaller.load_state_dict(weights)
    smaller.tie_weights()
    return smaller


def _head_size(model: PreTrainedModel) -> int:
    config: Any = model.config
    return int(config.hidden_size // config.num_attention_heads)
