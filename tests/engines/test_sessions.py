"""Every engine against torch in fp32, which stands for the checkpoint itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint, load_tokenizer
from harness.engines.base import Session, Setup, longest_input
from harness.engines.catalogue import engine_kind
from harness.engines.generation import generate, greedy
from harness.errors import HarnessError, UnavailableError

COMPILED = pytest.param("torch-compile", marks=pytest.mark.slow)
ENGINES = ["torch", COMPILED, "onnxruntime"]
ENGINE_AND_FAMILY = [
    ("torch", "causal"),
    ("torch", "masked"),
    ("torch", "seq2seq"),
    pytest.param("torch-compile", "causal", marks=pytest.mark.slow),
    pytest.param("torch-compile", "seq2seq", marks=pytest.mark.slow),
    ("onnxruntime", "causal"),
    ("onnxruntime", "masked"),
    ("onnxruntime", "seq2seq"),
]
INTEGERS = [
    (engine, family, precision)
    for engine, precision in (("torch", "int8"), ("onnxruntime", "int8"), ("onnxruntime", "int4"))
    for family in ("causal", "masked", "seq2seq")
]


@pytest.fixture(scope="module")
def open_session(tiny_checkpoints: dict[str, Checkpoint], tmp_path_factory: pytest.TempPathFactory):
    store = ArtefactStore(tmp_path_factory.mktemp("cache"))
    compiled: dict[str, Session] = {}

    def open_one(family: str, engine: str, precision: str) -> Session:
        if family in compiled and engine == "torch-compile":
            return compiled[family]
        running = engine_kind(engine).load()
        folder = running.prepare(tiny_checkpoints[family], Setup(precision), store)
        session = running.open(folder, family, Setup(precision))
        if engine == "torch-compile":  # compiling takes seconds, so that all tests share one session a family
            compiled[family] = session
        return session

    return open_one


def _score(session: Session, ids: np.ndarray, decoder: np.ndarray | None = None) -> np.ndarray:
    """All logits, [batch, length, vocabulary]."""
    scored = ids if decoder is None else decoder
    return np.concatenate(list(session.score(ids, np.arange(scored.size), decoder))).reshape(*scored.shape, -1)


def _ids(rows: int, length: int) -> np.ndarray:
    return np.random.default_rng(0).integers(5, 120, size=(rows, length))


@pytest.mark.parametrize(("engine", "family"), ENGINE_AND_FAMILY[3:])
def test_logits_are_those_of_torch(open_session, engine: str, family: str):
    ids, decoder = _ids(2, 24), _ids(2, 7) if family == "seq2seq" else None
    expected = _score(open_session(family, "torch", "fp32"), ids, decoder)
    found = _score(open_session(family, engine, "fp32"), ids, decoder)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.parametrize("family", ["causal", "seq2seq"])
def test_engines_decode_the_tokens_of_torch(open_session, engine: str, family: str):
    prompt = _ids(1, 12)[0]
    expected = greedy(open_session(family, "torch", "fp32"), prompt, 16, None)
    assert list(greedy(open_session(family, engine, "fp32"), prompt, 16, None)) == list(expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_steps_with_the_cache_give_the_logits_of_one_pass(open_session, engine: str):
    session = open_session("causal", engine, "fp32")
    ids = _ids(2, 10)
    whole = _score(session, ids)[0]
    assert session.prefill(ids[0, :4], 8) == pytest.approx(whole[3], abs=1e-4)
    for position in range(4, 10):
        assert session.step(int(ids[0, position])) == pytest.approx(whole[position], abs=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_seq2seq_steps_give_the_logits_of_one_pass(open_session, engine: str):
    session = open_session("seq2seq", engine, "fp32")
    source, decoder = _ids(2, 10), np.concatenate([[[0], [0]], _ids(2, 5)], axis=1)
    whole = _score(session, source, decoder)[0]
    assert session.prefill(source[0], 8) == pytest.approx(whole[0], abs=1e-4)
    for position in range(1, 6):
        assert session.step(int(decoder[0, position])) == pytest.approx(whole[position], abs=1e-4)


@pytest.mark.parametrize(("engine", "family"), ENGINE_AND_FAMILY)
def test_only_the_logits_that_are_read_are_made(open_session, engine: str, family: str):
    session = open_session(family, engine, "fp32")
    ids, decoder = _ids(3, 12), _ids(3, 6) if family == "seq2seq" else None
    read = np.array([1, 4, 5, 13, 17])
    whole = _score(session, ids, decoder)
    pieces = list(session.score(ids, read, decoder))
    assert sum(len(piece) for piece in pieces) == len(read)
    assert np.concatenate(pieces) == pytest.approx(whole.reshape(-1, whole.shape[-1])[read], abs=1e-4)


@pytest.mark.parametrize("module", ["torch_engine", "onnxruntime_engine"])
def test_long_rows_are_scored_in_chunks_with_the_same_logits(open_session, module: str, monkeypatch):
    session = open_session("causal", module.removesuffix("_engine"), "fp32")
    ids, read = _ids(2, 50), np.array([3, 15, 16, 17, 49, 50, 99])
    (whole,) = session.score(ids, read)
    monkeypatch.setattr(f"harness.engines.{module}.CHUNK", 16)
    pieces = list(session.score(ids, read))
    assert len(pieces) == 8
    assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_prompt_does_not_remember_the_first(open_session, engine: str):
    session = open_session("causal", engine, "fp32")
    prompt = _ids(1, 8)[0]
    first = session.prefill(prompt, 8)
    session.step(7)
    assert session.prefill(prompt, 8) == pytest.approx(first, abs=1e-6)


@pytest.mark.parametrize(("engine", "family", "precision"), INTEGERS)
def test_integers_stay_near_fp32(open_session, engine: str, family: str, precision: str):
    ids, decoder = _ids(1, 24), _ids(1, 7) if family == "seq2seq" else None
    expected = _score(open_session(family, "torch", "fp32"), ids, decoder)
    found = _score(open_session(family, engine, precision), ids, decoder)
    assert not np.array_equal(found, expected)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > {"int8": 0.99, "int4": 0.95}[precision]


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_int8_by_onnxruntime_stores_products_and_tables_as_int8(open_session, family: str):
    full, small = (open_session(family, "onnxruntime", precision).facts.weights for precision in ("fp32", "int8"))
    assert full.quantised_share == 0
    assert small.quantised_share > 0.9
    assert small.bytes_on_disk < full.bytes_on_disk


def test_int8_by_torch_stores_the_linear_layers_as_int8_those_of_gpt2_included(open_session):
    """GPT-2 has four ``Conv1D`` a layer, 12 * 32² weights in all, and a head; the table of embeddings stays in fp32."""
    full, small = (open_session("causal", "torch", precision).facts.weights for precision in ("fp32", "int8"))
    products = 2 * 12 * 32**2 + 400 * 32
    assert full.operators == {"Conv1D": 8, "Linear": 1}
    assert small.operators == {"int8 Linear": 9}
    assert small.elements["int8"] == products
    assert full.step_bytes == 4 * small.step_bytes == 4 * products
    assert full.quantised_share == 0


@pytest.mark.parametrize("family", ["masked", "seq2seq"])
def test_int8_by_torch_leaves_no_linear_layer_in_fp32(open_session, family: str):
    full, small = (open_session(family, "torch", precision).facts.weights for precision in ("fp32", "int8"))
    assert set(small.operators) == {"int8 Linear"}
    assert sum(small.operators.values()) == sum(full.operators.values())
    assert small.step_bytes == full.step_bytes / 4
    assert small.bytes_on_disk < full.bytes_on_disk


@pytest.mark.parametrize("family", ["causal", "masked", "seq2seq"])
def test_int4_stores_the_products_in_four_bits_and_the_tables_in_fp32(open_session, family: str):
    full, small = (open_session(family, "onnxruntime", precision).facts.weights for precision in ("fp32", "int4"))
    assert set(small.operators) == {"MatMulNBits"}
    assert sum(small.operators.values()) == sum(full.operators.values())
    assert 0 < small.elements["int4"] / sum(small.elements.values()) == small.quantised_share < 1
    assert small.step_bytes < full.step_bytes / 4


def test_a_step_in_four_bits_reads_all_products_and_the_head(open_session):
    """Widths of 32 and of 128 are whole blocks, nothing is filled up: 12 * 32² weights a layer, and the head."""
    weights = open_session("causal", "onnxruntime", "int4").facts.weights
    assert weights.elements["int4"] == 2 * 12 * 32**2 + 400 * 32
    assert weights.operators == {"MatMulNBits": 9}


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_integers_decode_with_the_cache_as_in_one_pass(open_session, engine: str):
    session = open_session("causal", engine, "int8")
    ids = _ids(1, 10)
    whole = _score(session, ids)[0]
    session.prefill(ids[0, :4], 8)
    steps = np.stack([session.step(int(token)) for token in ids[0, 4:]])
    assert np.corrcoef(steps.ravel(), whole[4:].ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("engine", "remedy"), [("torch", "install a CUDA build of torch"), ("onnxruntime", "pip install onnxruntime-gpu")]
)
def test_cuda_is_refused_where_the_library_has_none(tiny_checkpoints, tmp_path: Path, monkeypatch, engine, remedy):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(UnavailableError, match=remedy):
        engine_kind(engine).load().prepare(
            tiny_checkpoints["causal"], Setup("fp32", "cuda"), ArtefactStore(tmp_path / "cache")
        )
    assert not (tmp_path / "cache").exists()


def test_bf16_stays_near_fp32_and_halves_the_weights(open_session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harness.engines.torch_engine.bf16_slowdown", lambda: 1.0)
    ids = _ids(1, 24)
    full, half = open_session("causal", "torch", "fp32"), open_session("causal", "torch", "bf16")
    assert half.facts.weights.bytes_on_disk < 0.6 * full.facts.weights.bytes_on_disk
    assert np.corrcoef(_score(half, ids).ravel(), _score(full, ids).ravel())[0, 1] > 0.99


def test_emulated_bf16_is_skipped_with_what_was_measured(open_session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harness.engines.torch_engine.bf16_slowdown", lambda: 61.0)
    with pytest.raises(HarnessError, match="61 times as long"):
        open_session("causal", "torch", "bf16")


def test_a_continuation_begins_with_its_prompt(open_session, tiny_checkpoints):
    tokenizer = load_tokenizer(tiny_checkpoints["causal"].path)
    text = generate(open_session("causal", "torch", "fp32"), tokenizer, "The people of", 8)
    assert text.startswith("The people of")
    assert len(text) > len("The people of")


def test_masks_are_filled_in_place(open_session, tiny_checkpoints):
    tokenizer = load_tokenizer(tiny_checkpoints["masked"].path)
    text = generate(open_session("masked", "torch", "fp32"), tokenizer, "The people of the <mask> want peace.", 8)
    assert text.startswith("The people of the ")
    assert "mask" not in text.lower()


def test_a_masked_model_asks_for_a_mask(open_session, tiny_checkpoints):
    tokenizer = load_tokenizer(tiny_checkpoints["masked"].path)
    with pytest.raises(HarnessError, match="put <mask> into the prompt"):
        generate(open_session("masked", "torch", "fp32"), tokenizer, "no hole", 8)


def test_a_prompt_that_does_not_fit_is_refused(open_session, tiny_checkpoints):
    tokenizer = load_tokenizer(tiny_checkpoints["causal"].path)
    with pytest.raises(HarnessError, match="96 positions"):
        generate(open_session("causal", "torch", "fp32"), tokenizer, "The people", 200)


def test_a_corrupt_graph_is_one_clear_line(tiny_checkpoints, tmp_path: Path):
    running = engine_kind("onnxruntime").load()
    folder = running.prepare(tiny_checkpoints["causal"], Setup("fp32"), ArtefactStore(tmp_path))
    (folder / "model_fused.onnx").write_bytes(b"not onnx")
    with pytest.raises(HarnessError, match=r"cannot load model_fused\.onnx"):
        running.open(folder, "causal", Setup("fp32"))


def test_an_unknown_engine_is_met_with_the_nearest_name():
    with pytest.raises(HarnessError, match="did you mean 'onnxruntime'"):
        engine_kind("onnxruntim")


def test_a_head_that_is_no_module_of_its_own_gives_the_logits_that_are_read(tmp_path: Path):
    from transformers import MobileBertConfig, MobileBertForMaskedLM

    from harness.engines.torch_engine import TorchSession

    configuration = MobileBertConfig(
        vocab_size=40, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        embedding_size=16, intra_bottleneck_size=16, num_feedforward_networks=1, max_position_embeddings=32,
    )  # fmt: skip
    session = TorchSession(MobileBertForMaskedLM(configuration).eval(), "masked", Setup("fp32"), 0)
    ids = _ids(2, 8) % 40
    whole = _score(session, ids)
    (read,) = session.score(ids, np.array([3, 9]))
    assert read == pytest.approx(whole.reshape(16, -1)[[3, 9]], abs=1e-5)


@pytest.mark.parametrize(
    ("configuration", "family", "positions"),
    [
        ({"n_positions": 1024}, "causal", 1024),
        ({"model_type": "llama", "max_position_embeddings": 8192, "pad_token_id": 2}, "causal", 8192),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, "masked", 512),
        ({"n_positions": 512, "model_type": "t5"}, "seq2seq", None),
        ({}, "causal", None),
    ],
)
def test_the_longest_input_is_what_positions_can_be_used_for(configuration, family, positions):
    assert longest_input(configuration, family) == positions
