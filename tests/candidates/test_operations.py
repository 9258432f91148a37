"""Operations of tiny architectures, against formulas written out by hand."""

from __future__ import annotations

import pytest
from tiny import TINY
from transformers import AlbertConfig, MixtralConfig

from harness.candidates.checkpoint import Checkpoint
from harness.candidates.operations import prefill_operations

WIDTH, TOKENS = 32, 24


def vocabulary(checkpoint: Checkpoint) -> int:
    import transformers

    return transformers.AutoConfig.from_pretrained(checkpoint.path).vocab_size


def test_a_causal_prompt_takes_its_layers_at_every_position_and_the_head_once(tiny_checkpoints):
    checkpoint = tiny_checkpoints["causal"]
    layers = TINY["causal"].shape["n_layer"]
    weights = layers * 12 * WIDTH**2
    attention = layers * 2 * 2 * WIDTH * sum(range(1, TOKENS + 1))
    head = 2 * WIDTH * vocabulary(checkpoint)
    assert prefill_operations(checkpoint, TOKENS) == 2 * TOKENS * weights + attention + head


def test_an_encode_takes_everything_at_every_position(tiny_checkpoints):
    checkpoint = tiny_checkpoints["masked"]
    layers = 2 * (4 * WIDTH**2 + 2 * WIDTH * 64)
    head = WIDTH**2 + WIDTH * vocabulary(checkpoint)
    attention = 2 * 2 * 2 * TOKENS**2 * WIDTH
    assert prefill_operations(checkpoint, TOKENS) == 2 * TOKENS * (layers + head) + attention


def test_a_source_is_encoded_before_the_first_step_of_the_decoder(tiny_checkpoints):
    checkpoint = tiny_checkpoints["seq2seq"]
    attention_weights, feed_forward = 4 * WIDTH**2, 2 * WIDTH * 64
    encoder = 2 * TOKENS * (attention_weights + feed_forward) + 4 * TOKENS**2 * WIDTH
    own = 2 * attention_weights + 4 * WIDTH
    of_source = 2 * 2 * WIDTH**2 + 2 * TOKENS * 2 * WIDTH**2 + 4 * TOKENS * WIDTH
    head = 2 * WIDTH * vocabulary(checkpoint)
    assert prefill_operations(checkpoint, TOKENS) == encoder + own + of_source + 2 * feed_forward + head


def test_layers_that_share_their_weights_count_as_often_as_they_run(tmp_path):
    found = []
    for layers in (1, 3):
        folder = tmp_path / str(layers)
        AlbertConfig(
            vocab_size=100,
            embedding_size=16,
            hidden_size=32,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=64,
        ).save_pretrained(folder)
        found.append(prefill_operations(Checkpoint(folder, "masked", "", ""), TOKENS))
    one_layer = 2 * TOKENS * (4 * 32**2 + 2 * 32 * 64) + 4 * TOKENS**2 * 32
    assert found[1] - found[0] == 2 * one_layer


def test_a_mixture_of_experts_has_no_number_before_it_has_run(tmp_path):
    MixtralConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    ).save_pretrained(tmp_path)
    assert prefill_operations(Checkpoint(tmp_path, "causal", "", ""), TOKENS) is None


@pytest.mark.parametrize("family", TINY)
def test_nothing_is_loaded_to_count(tiny_checkpoints, family, tmp_path):
    (tmp_path / "config.json").write_bytes((tiny_checkpoints[family].path / "config.json").read_bytes())
    assert prefill_operations(Checkpoint(tmp_path, family, "", ""), TOKENS)
