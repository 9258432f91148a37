"""The engine OpenVINO against torch in fp32, which stands for the checkpoint itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines.base import Session, Setup
from harness.engines.catalogue import engine_kind
from harness.engines.generation import greedy
from harness.engines.openvino_library import has_bf16
from harness.errors import HarnessError, UnavailableError

if reason := engine_kind("openvino").missing():
    pytest.skip(reason, allow_module_level=True)

FAMILIES = ["causal", "masked", "seq2seq"]
TOLERANCE = 2e-5
"""Ten times the largest difference to torch's fp32 logits that was measured with these checkpoints."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtefactStore:
    return ArtefactStore(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def open_session(tiny_checkpoints: dict[str, Checkpoint], store: ArtefactStore):
    def open_one(family: str, engine: str = "openvino", precision: str = "fp32") -> Session:
        running = engine_kind(engine).load()
        folder = running.prepare(tiny_checkpoints[family], Setup(precision), store)
        return running.open(folder, family, Setup(precision))

    return open_one


def _ids(rows: int, length: int) -> np.ndarray:
    return np.random.default_rng(0).integers(5, 100, size=(rows, length))


def _question(family: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Ids [3, 24] and, where the family wants them, decoder ids [3, 7]."""
    return _ids(3, 24), _ids(3, 7) if family == "seq2seq" else None


def _score(session: Session, ids: np.ndarray, decoder: np.ndarray | None = None) -> np.ndarray:
    """All logits, [batch, length, vocabulary]."""
    scored = ids if decoder is None else decoder
    return np.concatenate(list(session.score(ids, np.arange(scored.size), decoder))).reshape(*scored.shape, -1)


@pytest.mark.parametrize("family", FAMILIES)
def test_fp32_gives_the_logits_of_torch(open_session, family: str):
    ids, decoder = _question(family)
    found = _score(open_session(family), ids, decoder)
    assert found.dtype == np.float32
    assert found == pytest.approx(_score(open_session(family, "torch"), ids, decoder), abs=TOLERANCE)


@pytest.mark.parametrize("family", ["causal", "seq2seq"])
def test_fp32_decodes_the_tokens_of_torch_again_and_again(open_session, family: str):
    prompt, session = _ids(1, 12)[0], open_session(family)
    expected = list(greedy(open_session(family, "torch"), prompt, 40, None))
    assert list(greedy(session, prompt, 40, None)) == expected
    session.prefill(_ids(2, 9)[1], 4)
    session.step(7)
    assert list(greedy(session, prompt, 40, None)) == expected


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
def test_steps_with_the_state_give_the_logits_of_one_pass(open_session, precision: str):
    """Where the CPU multiplies in bf16, logits of 4 to 8 are 1/32 apart."""
    session, ids = open_session("causal", precision=precision), _ids(1, 10)
    whole = _score(session, ids)[0]
    tolerance = 4 / 32 if precision != "fp32" and has_bf16() else TOLERANCE
    assert session.prefill(ids[0, :4], 6) == pytest.approx(whole[3], abs=tolerance)
    for position in range(4, 10):
        assert session.step(int(ids[0, position])) == pytest.approx(whole[position], abs=tolerance)


def test_seq2seq_steps_give_the_logits_of_one_pass(open_session):
    session = open_session("seq2seq")
    source, decoder = _ids(1, 10), np.concatenate([[[0]], _ids(1, 5)], axis=1)
    whole = _score(session, source, decoder)[0]
    assert session.prefill(source[0], 5) == pytest.approx(whole[0], abs=TOLERANCE)
    for position in range(1, 6):
        assert session.step(int(decoder[0, position])) == pytest.approx(whole[position], abs=TOLERANCE)


@pytest.mark.parametrize("family", ["causal", "seq2seq"])
def test_logits_of_a_step_outlive_the_next(open_session, family: str):
    session = open_session(family)
    first = session.prefill(_ids(1, 6)[0], 2)
    second = session.step(9)
    kept = first.copy(), second.copy()
    session.step(11)
    assert np.array_equal(first, kept[0])
    assert np.array_equal(second, kept[1])


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_a_batch_are_scored_as_if_alone(open_session, family: str):
    session, (ids, decoder) = open_session(family), _question(family)
    whole = _score(session, ids, decoder)
    for row in range(3):
        alone = _score(session, ids[row : row + 1], None if decoder is None else decoder[row : row + 1])
        assert alone[0] == pytest.approx(whole[row], abs=TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_logits_that_are_read_are_made(open_session, family: str):
    session, (ids, decoder) = open_session(family), _question(family)
    whole = _score(session, ids, decoder)
    whole = whole.reshape(-1, whole.shape[-1])
    for read in (np.array([1, 4, 5, 13, 17]), np.array([], dtype=np.int64)):
        found = np.concatenate(list(session.score(ids, read, decoder)))
        assert found.shape == (len(read), whole.shape[-1])
        assert found == pytest.approx(whole[read], abs=TOLERANCE)


def test_long_rows_are_scored_in_chunks_with_the_same_logits(open_session, monkeypatch: pytest.MonkeyPatch):
    session = open_session("causal")
    ids, read = _ids(2, 50), np.array([3, 15, 16, 17, 49, 50, 99])
    (whole,) = session.score(ids, read)
    monkeypatch.setattr("harness.engines.openvino_engine.CHUNK", 16)
    pieces = list(session.score(ids, read))
    assert len(pieces) == 8
    assert np.concatenate(pieces) == pytest.approx(whole, abs=TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("precision", "nearness"), [("int8", 0.9999), ("int4", 0.99)])
def test_weights_are_stored_in_the_bits_that_were_asked_for(open_session, family: str, precision: str, nearness: float):
    ids, decoder = _question(family)
    full, small = open_session(family), open_session(family, precision=precision)
    assert full.facts.weights.quantised_share == 0
    weights = small.facts.weights
    assert weights.quantised_share > 0.9
    assert weights.elements.get(precision, 0) > 0.4 * sum(weights.elements.values())
    assert sum(weights.elements.values()) == sum(full.facts.weights.elements.values())
    assert weights.operators == full.facts.weights.operators
    assert weights.step_bytes < full.facts.weights.step_bytes / {"int8": 3, "int4": 4}[precision]
    found, expected = _score(small, ids, decoder), _score(full, ids, decoder)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > nearness


def test_a_step_reads_the_products_and_the_head_but_no_embedding(open_session):
    """GPT-2's layers of width 32 (12 * 32² each) and its head, in 4 bytes."""
    facts = open_session("causal").facts
    assert facts.weights.step_bytes == 4 * (2 * 12 * 32**2 + 32 * facts.vocabulary_size)


def test_bf16_is_refused_where_the_cpu_has_none(open_session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harness.engines.openvino_engine.has_bf16", lambda: False)
    with pytest.raises(UnavailableError, match="no bf16 instructions"):
        open_session("causal", precision="bf16")


def test_bf16_weights_are_stored_in_two_bytes(open_session, tiny_checkpoints, store, monkeypatch: pytest.MonkeyPatch):
    """The arithmetic stays fp32 on a CPU without bf16, which shows the rounding of the weights alone."""
    from harness.engines import openvino_engine

    ids = _ids(1, 24)
    full = open_session("causal")
    folder = openvino_engine.converted(tiny_checkpoints["causal"], "bf16", store)
    monkeypatch.setattr("harness.engines.openvino_engine.has_bf16", lambda: False)
    half = engine_kind("openvino").load().open(folder, "causal", Setup("bf16"))
    weights = half.facts.weights
    assert weights.elements["bf16"] > 0.99 * sum(weights.elements.values())
    assert weights.step_bytes == full.facts.weights.step_bytes / 2
    assert np.corrcoef(_score(half, ids).ravel(), _score(full, ids).ravel())[0, 1] > 0.999


def test_the_cache_is_a_state_that_openvino_appends_to(open_session, tiny_checkpoints, store):
    from harness.engines.openvino_engine import properties
    from harness.engines.openvino_library import core

    folder = engine_kind("openvino").load().prepare(tiny_checkpoints["causal"], Setup("fp32"), store)
    compiled = core().compile_model(folder / "model.xml", "CPU", properties(Setup("fp32")))
    assert {port.any_name for port in compiled.outputs} == {"logits"}
    kinds = [node.get_rt_info()["layerType"].astype(str) for node in compiled.get_runtime_model().get_ops()]
    assert kinds.count("ScaledDotProductAttention") == 2
    assert kinds.count("MemoryInput") == 4


def test_a_setup_is_carried_out(open_session):
    from harness.engines.openvino_engine import properties

    wanted = properties(Setup("fp32", threads=2))
    assert (wanted["INFERENCE_NUM_THREADS"], wanted["KV_CACHE_PRECISION"]) == (2, "f32")
    assert wanted["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == 0


def test_encode_is_for_masked_models(open_session):
    open_session("masked").encode(_ids(2, 16))
    with pytest.raises(HarnessError, match="encode is not defined for causal"):
        open_session("causal").encode(_ids(2, 16))


def test_a_file_that_is_cut_short_is_one_clear_line(tiny_checkpoints, tmp_path: Path):
    running = engine_kind("openvino").load()
    folder = running.prepare(tiny_checkpoints["masked"], Setup("int8"), ArtefactStore(tmp_path))
    weights = folder / "model.bin"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(HarnessError, match=r"OpenVINO cannot load model\.xml: [^\n]+$"):
        running.open(folder, "masked", Setup("int8"))


def test_nothing_is_reported_to_anyone(tmp_path: Path):
    """Importing OpenVINO and nncf would write an identifier into the home folder and send it with every import."""
    code = (
        "import sys, harness.engines.openvino_engine, nncf, nncf.telemetry\n"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]\n"
    )
    environment = {"HOME": str(tmp_path), "PATH": "", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    assert not (tmp_path / "intel").exists()
