"""llama.cpp against torch in fp32, which stands for the checkpoint itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import llamacpp_tasks
import numpy as np
import pytest

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint, open_checkpoint
from harness.engines.base import Session, Setup
from harness.engines.catalogue import engine_kind
from harness.engines.generation import greedy
from harness.engines.gguf_export import FILE, write_gpt2
from harness.errors import HarnessError, UnavailableError
from harness.execution.local import LocalExecutor

pytest.importorskip("llama_cpp", reason="the extra llamacpp is not installed: pip install llama-cpp-python")

Open = Callable[..., Session]

FP32_TOLERANCE = 1e-2
"""llama.cpp looks GELU up in a table of half-precision numbers: these logits, of deviation 2.5, differ by 0.003."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtefactStore:
    return ArtefactStore(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def open_session(tiny_checkpoints: dict[str, Checkpoint], store: ArtefactStore) -> Open:
    def open_one(precision: str, engine: str = "llamacpp") -> Session:
        running = engine_kind(engine).load()
        folder = running.prepare(tiny_checkpoints["causal"], Setup(precision), store)
        return running.open(folder, "causal", Setup(precision))

    return open_one


@pytest.fixture
def published(tiny_checkpoints: dict[str, Checkpoint], tmp_path: Path) -> Checkpoint:
    """A checkpoint with the GGUF file that it was published as."""
    folder = tmp_path / "published"
    shutil.copytree(tiny_checkpoints["causal"].path, folder)
    write_gpt2(folder, folder / "published.gguf")
    return open_checkpoint(folder, "causal")


def _ids(rows: int, length: int) -> np.ndarray:
    return np.random.default_rng(0).integers(5, 120, size=(rows, length))


def _score(session: Session, ids: np.ndarray) -> np.ndarray:
    """All logits, [batch, length, vocabulary]."""
    return np.concatenate(list(session.score(ids, np.arange(ids.size)))).reshape(*ids.shape, -1)


def test_fp32_logits_are_those_of_torch(open_session: Open):
    ids = _ids(3, 90)
    expected, found = _score(open_session("fp32", "torch"), ids), _score(open_session("fp32"), ids)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < FP32_TOLERANCE
    assert (found.argmax(-1) == expected.argmax(-1)).mean() > 0.99


def test_fp32_decodes_the_tokens_of_torch(open_session: Open):
    prompt = _ids(1, 12)[0]
    expected = greedy(open_session("fp32", "torch"), prompt, 40, None)
    assert list(greedy(open_session("fp32"), prompt, 40, None)) == list(expected)


@pytest.mark.parametrize(("precision", "correlation"), [("fp16", 0.9999), ("int8", 0.999), ("int4", 0.97)])
def test_fewer_bits_stay_near(open_session: Open, precision: str, correlation: float):
    ids = _ids(2, 60)
    expected, found = _score(open_session("fp32", "torch"), ids), _score(open_session(precision), ids)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > correlation


def test_steps_with_the_cache_give_the_logits_of_one_pass(open_session: Open):
    session, ids = open_session("fp32"), _ids(1, 10)
    whole = _score(session, ids)[0]
    assert session.prefill(ids[0, :4], 8) == pytest.approx(whole[3], abs=1e-4)
    for position in range(4, 10):
        assert session.step(int(ids[0, position])) == pytest.approx(whole[position], abs=1e-4)


def test_only_the_logits_that_are_read_are_made(open_session: Open):
    session, ids, read = open_session("fp32"), _ids(3, 12), np.array([1, 4, 5, 25, 29])
    pieces = list(session.score(ids, read))
    assert [len(piece) for piece in pieces] == [3, 0, 2]
    assert np.concatenate(pieces) == pytest.approx(_score(session, ids).reshape(36, -1)[read], abs=1e-4)


def test_long_rows_and_prompts_run_in_chunks_with_the_same_logits(open_session: Open, monkeypatch):
    session, ids, read = open_session("fp32"), _ids(2, 50), np.array([3, 15, 16, 17, 49, 50, 99])
    whole, first = np.concatenate(list(session.score(ids, read))), session.prefill(ids[0], 4)
    monkeypatch.setattr("harness.engines.llamacpp_engine.CHUNK", 16)
    pieces = list(session.score(ids, read))
    assert len(pieces) == 8
    assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-4)
    assert session.prefill(ids[0], 4) == pytest.approx(first, abs=1e-4)


def test_a_second_prompt_does_not_remember_the_first(open_session: Open):
    session, prompt = open_session("fp32"), _ids(1, 8)[0]
    first = session.prefill(prompt, 8)
    session.step(7)
    assert session.prefill(prompt, 8) == pytest.approx(first, abs=1e-6)


def test_logits_that_were_handed_out_do_not_change(open_session: Open):
    session = open_session("fp32")
    first = session.prefill(_ids(1, 8)[0], 8)
    kept = first.copy()
    session.step(7)
    assert np.array_equal(first, kept)


def test_what_the_quantiser_did_is_read_back(open_session: Open):
    facts = {precision: open_session(precision).facts.weights for precision in ("fp32", "fp16", "int8", "int4")}
    total = sum(facts["fp32"].elements.values())
    assert facts["fp32"].elements == {"fp32": total}
    assert all(sum(weights.elements.values()) == total for weights in facts.values())
    assert facts["fp16"].elements["fp16"] == 2 * 12 * 32 * 32 + 400 * 32
    assert facts["int8"].elements["int8"] == 2 * 12 * 32 * 32 + 400 * 32
    assert facts["int4"].elements["int4"] == 2 * 12 * 32 * 32
    assert facts["int4"].elements["int8"] == 400 * 32, "Q6_K, which the head should have, needs rows of 256"
    assert facts["int4"].quantised_share > 0.85
    sizes = [weights.step_bytes for weights in facts.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert facts["int8"].step_bytes == facts["fp32"].step_bytes / 4 * 34 / 32


def test_a_prompt_and_room_beyond_the_positions_are_refused(open_session: Open):
    session = open_session("fp32")
    with pytest.raises(HarnessError, match="97 tokens are more than the model's 96 positions"):
        session.prefill(_ids(1, 90)[0], 7)
    assert session.prefill(_ids(1, 90)[0], 6).shape == (400,)


def test_a_step_beyond_the_room_is_refused(open_session: Open):
    session = open_session("fp32")
    session.prefill(_ids(1, 94)[0], 2)
    session.step(7)
    session.step(7)
    with pytest.raises(HarnessError, match="no room"):
        session.step(7)


def test_the_context_grows_with_what_is_asked(tmp_path: Path):
    from transformers import GPT2Config, GPT2LMHeadModel

    from harness.engines.gguf_export import write_weights

    shape = GPT2Config(vocab_size=64, n_positions=700, n_embd=32, n_layer=1, n_head=2)
    GPT2LMHeadModel(shape).save_pretrained(tmp_path)
    write_gpt2(tmp_path, tmp_path / FILE)
    write_weights(tmp_path)
    session = engine_kind("llamacpp").load().open(tmp_path, "causal", Setup("fp32"))
    ids = _ids(1, 690) % 64
    short = session.prefill(ids[0, :100], 8)
    whole = _score(session, ids)[0]
    assert whole[99] == pytest.approx(short, abs=1e-4)
    assert session.prefill(ids[0, :300], 400) == pytest.approx(whole[299], abs=1e-4)


def test_a_token_outside_the_vocabulary_is_one_clear_line(open_session: Open):
    with pytest.raises(HarnessError, match=r"cannot decode 1 tokens \(code -1\): .*invalid token"):
        open_session("fp32").prefill(np.array([400]), 1)


def test_encode_is_for_masked_models(open_session: Open):
    with pytest.raises(HarnessError, match="encode is not defined for causal models"):
        open_session("fp32").encode(_ids(1, 4))


def test_the_published_file_is_loaded_as_it_is(published: Checkpoint, store: ArtefactStore, open_session: Open):
    running = engine_kind("llamacpp").load()
    folder = running.prepare(published, Setup("gguf"), store)
    assert (folder / FILE).read_bytes() == (published.path / "published.gguf").read_bytes()
    ids = _ids(1, 40)
    found = _score(running.open(folder, "causal", Setup("gguf")), ids)
    assert np.abs(found - _score(open_session("fp32", "torch"), ids)).max() < FP32_TOLERANCE


def test_a_checkpoint_without_a_published_file_says_so(tiny_checkpoints, store: ArtefactStore):
    with pytest.raises(UnavailableError, match=r"expected one \.gguf file in .*, found 0"):
        engine_kind("llamacpp").load().prepare(tiny_checkpoints["causal"], Setup("gguf"), store)


def test_another_architecture_is_referred_to_its_published_file(published: Checkpoint, store: ArtefactStore):
    configuration = published.path / "config.json"
    configuration.write_text(configuration.read_text().replace('"model_type": "gpt2"', '"model_type": "llama"'))
    other = Checkpoint(published.path, "causal", "other weights", published.tokenizer_hash)
    with pytest.raises(UnavailableError, match="only GPT-2 shapes are written to GGUF; use llamacpp/gguf"):
        engine_kind("llamacpp").load().prepare(other, Setup("int4"), store)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda whole: b"not gguf" * 100, "invalid magic"),
        (lambda whole: whole[:300], "exceeds remaining file size"),
        (lambda whole: whole[:-1000], "not within the file bounds"),
    ],
)
def test_a_damaged_file_is_one_clear_line(tiny_checkpoints, tmp_path: Path, capfd, damage, reason: str):
    running = engine_kind("llamacpp").load()
    folder = running.prepare(tiny_checkpoints["causal"], Setup("fp32"), ArtefactStore(tmp_path))
    (folder / FILE).write_bytes(damage((folder / FILE).read_bytes()))
    with pytest.raises(HarnessError, match=rf"llama\.cpp cannot load model\.gguf of .*: .*{reason}"):
        running.open(folder, "causal", Setup("fp32"))
    assert capfd.readouterr().err == ""


def test_a_worker_that_llama_cpp_takes_down_is_one_result_and_the_next_one_runs(tiny_checkpoints, store):
    folder = engine_kind("llamacpp").load().prepare(tiny_checkpoints["causal"], Setup("fp32"), store)
    executor = LocalExecutor(threads=1, offline=True, perform=llamacpp_tasks.perform)
    crashed, good = (executor.run((folder, what), 60.0, lambda share, word: None) for what in ("overrun", "score"))
    assert (crashed.status, crashed.reason) == ("crashed", "killed by SIGABRT")
    assert "GGML_ASSERT" in crashed.stderr_tail
    assert good.status == "ok"


@pytest.mark.parametrize(("family", "reason"), [("masked", "graphs of BERT"), ("seq2seq", "only GPT-2 shapes")])
def test_other_families_are_refused_with_the_reason(family: str, reason: str):
    kind = engine_kind("llamacpp")
    assert kind.refusal("causal", "int4", "cpu") is None
    assert reason in str(kind.refusal(family, "int4", "cpu"))
    assert "not on cuda" in str(kind.refusal("causal", "int4", "cuda"))
