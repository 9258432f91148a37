from __future__ import annotations

import json
import math

from huggingface_hub import ModelCard

from harness.training.card import CARD
from harness.training.curve import CURVE
from harness.training.recipe import ARGUMENTS


def test_the_card_holds_the_measured_perplexity_as_the_hub_reads_it(tiny_checkpoints):
    folder = tiny_checkpoints["masked"].path
    curve = json.loads((folder / CURVE).read_text())
    card = ModelCard.load(folder / CARD)
    (result,) = card.data.eval_results
    assert result.metric_value == round(math.exp(curve["validation"][-1]["loss"]), 4)
    assert (result.task_type, result.metric_type, result.dataset_split) == ("fill-mask", "perplexity", "validation")
    assert card.data.library_name == "transformers"
    assert f"of {curve['parameters']:,} parameters" in card.text


def test_the_card_says_how_the_model_was_made(tiny_checkpoints):
    text = (tiny_checkpoints["causal"].path / CARD).read_text()
    assert "- learning_rate: 0.005" in text
    assert "- n_layer: 2" in text
    assert "plateau" in text


def test_the_training_arguments_lie_beside_the_weights(tiny_checkpoints):
    arguments = json.loads((tiny_checkpoints["causal"].path / ARGUMENTS).read_text())
    assert arguments["training"]["learning_rate"] == 5e-3
    assert arguments["architecture"] == "gpt2"
