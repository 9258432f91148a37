"""The graph with fused attention against the plain one beside it, and against torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import transformers
from transformers import LlamaConfig, PretrainedConfig

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint, open_checkpoint
from harness.engines.base import Session, Setup
from harness.engines.catalogue import engine_kind
from harness.engines.generation import greedy
from harness.engines.onnx_fusion import FUSED, NotFused, fuse_attention, fuse_beside
from harness.engines.onnx_graph import PAST, PRESENT, load_graph

PLAIN = "model.onnx"
LAYERS = 2
SMALL = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
         "intermediate_size": 48, "max_position_embeddings": 96, "initializer_range": 0.3}  # fmt: skip

Random = Callable[[PretrainedConfig], Checkpoint]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtefactStore:
    return ArtefactStore(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def random_weights(tiny_checkpoints: dict[str, Checkpoint], tmp_path_factory: pytest.TempPathFactory) -> Random:
    """A causal checkpoint of a configuration with random weights, large enough that attention is not uniform."""

    def make(configuration: PretrainedConfig) -> Checkpoint:
        folder = tmp_path_factory.mktemp(configuration.model_type)
        torch.manual_seed(0)
        transformers.AutoModelForCausalLM.from_config(configuration).save_pretrained(folder)
        shutil.copyfile(tiny_checkpoints["causal"].path / "tokenizer.json", folder / "tokenizer.json")
        return open_checkpoint(folder, "causal")

    return make


@pytest.fixture(scope="module")
def gpt2(tiny_checkpoints: dict[str, Checkpoint], store: ArtefactStore) -> Path:
    return _exported(tiny_checkpoints["causal"], store)


@pytest.fixture(scope="module")
def plain_gpt2(gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same export without its fused graph."""
    folder = tmp_path_factory.mktemp("plain") / "gpt2"
    shutil.copytree(gpt2, folder)
    (folder / FUSED).unlink()
    return folder


@pytest.fixture(scope="module")
def llama(random_weights: Random) -> Checkpoint:
    """Four heads of queries share two of keys and values."""
    return random_weights(LlamaConfig(**SMALL, num_key_value_heads=2))


def _exported(checkpoint: Checkpoint, store: ArtefactStore) -> Path:
    return engine_kind("onnxruntime").load().prepare(checkpoint, Setup("fp32"), store)


def _open(folder: Path, engine: str = "onnxruntime") -> Session:
    return engine_kind(engine).load().open(folder, "causal", Setup("fp32"))


def _ids(rows: int, length: int) -> np.ndarray:
    return np.random.default_rng(0).integers(5, 120, size=(rows, length))


def _score(session: Session, ids: np.ndarray) -> np.ndarray:
    return np.concatenate(list(session.score(ids, np.arange(ids.size))))


def _kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_each_layer_of_gpt2_becomes_one_operator_of_attention(gpt2: Path):
    kinds = _kinds(load_graph(gpt2 / FUSED))
    assert kinds.count("GroupQueryAttention") == LAYERS
    assert "Softmax" in _kinds(load_graph(gpt2 / PLAIN))
    assert "Softmax" not in kinds


def test_nothing_is_joined_onto_the_cache(gpt2: Path):
    def joined(file: str) -> list[str]:
        model = load_graph(gpt2 / file)
        return [n.name for n in model.graph.node if n.op_type == "Concat" and n.input[0].startswith(PAST)]

    assert len(joined(PLAIN)) == 2 * LAYERS
    assert joined(FUSED) == []
    for node in load_graph(gpt2 / FUSED).graph.node:
        if any(name.startswith(PRESENT) for name in node.output):
            assert node.op_type == "GroupQueryAttention"


def test_products_take_what_was_made_without_a_change_of_shape(gpt2: Path):
    """The four products of a layer read and give [batch, length, width]; only the head works on rows."""
    graph = load_graph(gpt2 / FUSED).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    assert len(products) == 4 * LAYERS
    assert "Reshape" not in {made_by.get(node.input[0]) for node in products}
    results = {node.output[0] for node in products}
    assert not [node for node in graph.node if node.op_type == "Reshape" and node.input[0] in results]


def test_both_graphs_read_the_same_files_of_weights(gpt2: Path):
    def files(name: str) -> set[str]:
        tensors = load_graph(gpt2 / name).graph.initializer
        return {entry.value for each in tensors for entry in each.external_data if entry.key == "location"}

    assert files(FUSED) == files(PLAIN)


def test_two_rows_have_the_logits_of_the_plain_graph(gpt2: Path, plain_gpt2: Path):
    ids = _ids(2, 40)
    assert _score(_open(gpt2), ids) == pytest.approx(_score(_open(plain_gpt2), ids), abs=1e-4)


def test_chunks_through_the_cache_have_the_logits_of_the_plain_graph(gpt2: Path, plain_gpt2: Path, monkeypatch):
    ids = _ids(2, 50)
    expected = _score(_open(plain_gpt2), ids)
    monkeypatch.setattr("harness.engines.onnxruntime_engine.CHUNK", 16)
    assert _score(_open(gpt2), ids) == pytest.approx(expected, abs=1e-4)


def test_both_graphs_decode_the_same_tokens(gpt2: Path, plain_gpt2: Path):
    prompt = _ids(1, 12)[0]
    assert list(greedy(_open(gpt2), prompt, 40, None)) == list(greedy(_open(plain_gpt2), prompt, 40, None))


def test_fewer_heads_of_keys_and_values_are_fused_with_the_logits_of_torch(llama: Checkpoint, store: ArtefactStore):
    folder = _exported(llama, store)
    (cache,) = {each.type.tensor_type.shape.dim[1].dim_value for each in load_graph(folder / FUSED).graph.input
                if each.name.startswith(PAST)}  # fmt: skip
    assert cache == 2
    assert _kinds(load_graph(folder / FUSED)).count("GroupQueryAttention") == LAYERS
    ids = _ids(2, 40)
    assert _score(_open(folder), ids) == pytest.approx(_score(_open(llama.path, "torch"), ids), abs=1e-3)


def test_fewer_heads_of_keys_and_values_decode_the_tokens_of_torch(llama: Checkpoint, store: ArtefactStore):
    prompt = _ids(1, 12)[0]
    expected = greedy(_open(llama.path, "torch"), prompt, 24, None)
    assert list(greedy(_open(_exported(llama, store)), prompt, 24, None)) == list(expected)


@pytest.mark.parametrize(
    "configuration",
    [
        transformers.GraniteConfig(**SMALL, num_key_value_heads=2, attention_multiplier=1.0),
        transformers.MistralConfig(**SMALL, num_key_value_heads=2, sliding_window=8),
        transformers.BloomConfig(vocab_size=400, hidden_size=32, n_layer=LAYERS, n_head=4, initializer_range=0.3),
    ],
    ids=["another scale", "a sliding window", "a bias by distance"],
)
def test_attention_that_the_operator_would_compute_otherwise_stays_as_it_is(
    random_weights: Random, store: ArtefactStore, configuration: PretrainedConfig
):
    checkpoint = random_weights(configuration)
    folder = _exported(checkpoint, store)
    assert not (folder / FUSED).exists()
    ids = _ids(2, 24)
    assert _score(_open(folder), ids) == pytest.approx(_score(_open(checkpoint.path, "torch"), ids), abs=1e-3)


def test_a_graph_without_a_cache_is_not_fused(gpt2: Path):
    model = load_graph(gpt2 / PLAIN)
    kept = [each for each in model.graph.input if not each.name.startswith(PAST)]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    with pytest.raises(NotFused, match="no cache"):
        fuse_attention(model, 2, 2)


def _cache_before_the_new(file: Path) -> None:
    """Let layer 1 put the new keys before those of the cache, as no cache does."""
    model = load_graph(file)
    (join,) = (node for node in model.graph.node if f"{PRESENT}1.key" in node.output)
    join.input[0], join.input[1] = join.input[1], join.input[0]
    onnx.save(model, file)


def test_a_layer_that_does_not_append_to_its_cache_is_named(plain_gpt2: Path, tmp_path: Path):
    shutil.copyfile(plain_gpt2 / PLAIN, tmp_path / PLAIN)
    _cache_before_the_new(tmp_path / PLAIN)
    with pytest.raises(NotFused, match="layer 1 does not append to its key cache"):
        fuse_attention(load_graph(tmp_path / PLAIN), 2, 2)


def test_a_graph_of_another_form_gets_no_fused_one_beside_it(plain_gpt2: Path, tmp_path: Path):
    folder = tmp_path / "gpt2"
    shutil.copytree(plain_gpt2, folder)
    _cache_before_the_new(folder / PLAIN)
    fuse_beside(folder / PLAIN)
    assert not (folder / FUSED).exists()


def test_a_fused_graph_that_gives_other_logits_is_not_kept(plain_gpt2: Path, tmp_path: Path):
    folder = tmp_path / "gpt2"
    shutil.copytree(plain_gpt2, folder)
    fuse_beside(folder / PLAIN)
    assert (folder / FUSED).exists()
    (folder / FUSED).unlink()

    def other_scale(model: onnx.ModelProto, heads: int, kv_heads: int) -> None:
        fuse_attention(model, heads, kv_heads)
        for node in model.graph.node:
            if node.op_type == "GroupQueryAttention":
                node.attribute.append(onnx.helper.make_attribute("scale", 1.0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.engines.onnx_fusion.fuse_attention", other_scale)
        fuse_beside(folder / PLAIN)
    assert not (folder / FUSED).exists()


def test_a_configuration_that_names_no_heads_gets_no_fused_graph(plain_gpt2: Path, tmp_path: Path):
    folder = tmp_path / "gpt2"
    shutil.copytree(plain_gpt2, folder)
    configuration = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**configuration, "n_head": None, "num_attention_heads": None}))
    fuse_beside(folder / PLAIN)
    assert not (folder / FUSED).exists()
