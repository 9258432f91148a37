from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.candidates.catalogue import resolve, shipped_candidates
from harness.candidates.checkpoint import Checkpoint, count_parameters, load_model, load_tokenizer, open_checkpoint
from harness.candidates.spec import CandidateSpec
from harness.corpora.corpus import Corpus
from harness.corpora.packing import tokenize
from harness.engines.base import Setup
from harness.engines.torch_engine import TorchEngine
from harness.errors import HarnessError
from harness.items.questionnaire import Quotas, draw_up
from harness.quality.family import Scoring
from harness.quality.measures import family_of, measure_text
from harness.quality.questions import answers
from harness.training.models import published_model
from harness.training.random_weights import draw

SHAPES = {
    "gpt2": {"vocab_size": 1000, "n_layer": 1, "n_embd": 32, "n_head": 2, "n_positions": 96},
    "bert": {"vocab_size": 1000, "num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2,
             "intermediate_size": 64, "max_position_embeddings": 96},
    "distilbert": {"vocab_size": 1000, "n_layers": 1, "dim": 32, "n_heads": 2, "hidden_dim": 64,
                   "max_position_embeddings": 96},
    "t5": {"vocab_size": 1000, "num_layers": 1, "num_decoder_layers": 1, "d_model": 32, "num_heads": 2, "d_kv": 16,
           "d_ff": 64},
}  # fmt: skip
FAMILIES = {"gpt2": "causal", "bert": "masked", "distilbert": "masked", "t5": "seq2seq"}

PUBLISHED_SIZES = {
    "gpt2-random": 124_439_808,
    "distilgpt2-random": 81_912_576,
    "bert-base-random": 109_514_298,
    "distilbert-base-random": 66_985_530,
    "t5-small-random": 60_506_624,
}
"""Parameters of the published checkpoints with their heads, tied weights once, as transformers counts them."""


def _spec(architecture: str, **more: object) -> CandidateSpec:
    table = {"origin": "random", "family": FAMILIES[architecture], "architecture": architecture,
             "shape": SHAPES[architecture], "vocabulary": 400, **more}  # fmt: skip
    return CandidateSpec.model_validate(table)


def _draw(spec: CandidateSpec, corpus: Corpus, folder: Path) -> Checkpoint:
    draw(spec, corpus, folder, lambda share, word: None)
    return open_checkpoint(folder, spec.family)


@pytest.mark.parametrize("name", PUBLISHED_SIZES)
def test_a_shipped_shape_has_as_many_parameters_as_the_published_model(name: str, tiny_checkpoints):
    spec = resolve(name, {}).spec
    tokenizer = load_tokenizer(tiny_checkpoints[spec.family].path)
    with torch.device("meta"):
        assert published_model(spec, tokenizer).num_parameters() == PUBLISHED_SIZES[name]


def test_every_shipped_random_candidate_says_so_in_its_title():
    titles = [spec.title for spec in shipped_candidates().values() if spec.origin == "random"]
    assert len(titles) == len(PUBLISHED_SIZES)
    assert all("random weights" in title for title in titles)


def test_the_seed_decides_the_weights(corpus: Corpus, tmp_path: Path):
    drawn = [
        _draw(_spec("gpt2", **seed), corpus, tmp_path / name)
        for name, seed in (("default", {}), ("zero", {"seed": 0}), ("one", {"seed": 1}))
    ]
    hashes = [checkpoint.weights_hash for checkpoint in drawn]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len({checkpoint.tokenizer_hash for checkpoint in drawn}) == 1


def test_an_architecture_is_as_published(tiny_checkpoints):
    gpt2 = published_model(_spec("gpt2"), load_tokenizer(tiny_checkpoints["causal"].path))
    t5 = published_model(_spec("t5"), load_tokenizer(tiny_checkpoints["seq2seq"].path))
    assert (gpt2.config.activation_function, gpt2.config.resid_pdrop) == ("gelu_new", 0.1)
    assert t5.lm_head.weight is t5.shared.weight
    assert t5.shared.weight.std().item() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("architecture", SHAPES)
def test_a_model_with_more_entries_than_its_tokenizer_is_scored_timed_and_reloaded(
    architecture: str, corpus: Corpus, tmp_path: Path
):
    checkpoint = _draw(_spec(architecture), corpus, tmp_path)
    tokenizer, model = load_tokenizer(tmp_path), load_model(tmp_path, checkpoint.family)
    assert model.config.vocab_size == 1000 > len(tokenizer)
    assert count_parameters(checkpoint) == model.num_parameters()
    session = TorchEngine().open(tmp_path, checkpoint.family, Setup("fp32"))
    family = family_of(session, tokenizer)
    documents = corpus.splits["test"]
    ids = tokenize(tokenizer, corpus.splits["train"]).ids
    counts = torch.bincount(torch.from_numpy(ids), minlength=len(tokenizer)).numpy()
    quotas = Quotas(continuations=4, clozes=4, choices=4, context_words=6, continuation_words=3, right_words=3)
    facts = [
        *measure_text(session, family, documents, counts, Scoring(block_size=32)),
        *answers(session, family, documents, counts, draw_up(documents, quotas)),
    ]
    values = {fact.metric: fact.value for fact in facts}
    assert values["unigram_perplexity"] < 400
    assert values["forced_choice_accuracy"] is not None
    assert tokenizer.decode([5, 999, 6]) == tokenizer.decode([5, 6])


def test_a_vocabulary_smaller_than_the_tokenizer_is_refused(corpus: Corpus, tmp_path: Path):
    spec = _spec("gpt2", shape={**SHAPES["gpt2"], "vocab_size": 399})
    with pytest.raises(HarnessError, match=r"vocab_size 399 is less than the 400 entries of the tokenizer"):
        draw(spec, corpus, tmp_path, lambda share, word: None)


def test_a_shape_that_the_architecture_does_not_take_is_refused(corpus: Corpus, tmp_path: Path):
    spec = _spec("gpt2", shape={"n_embd": 30, "n_head": 4})
    with pytest.raises(HarnessError, match="shape of architecture 'gpt2'"):
        draw(spec, corpus, tmp_path, lambda share, word: None)
