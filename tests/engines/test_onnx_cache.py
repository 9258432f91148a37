"""The KV cache of a graph with fused attention: one piece of memory, in which a generation lies still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines.base import Setup
from harness.engines.catalogue import engine_kind
from harness.engines.onnx_cache import FixedCache, GrowingCache
from harness.engines.onnx_fusion import FUSED
from harness.engines.onnxruntime_engine import CausalSession


@pytest.fixture(scope="module")
def folder(tiny_checkpoints: dict[str, Checkpoint], tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = ArtefactStore(tmp_path_factory.mktemp("cache"))
    return engine_kind("onnxruntime").load().prepare(tiny_checkpoints["causal"], Setup("fp32"), store)


@pytest.fixture
def session(folder: Path) -> CausalSession:
    return CausalSession(folder, "causal", Setup("fp32"))


def _ids(length: int) -> np.ndarray:
    return np.random.default_rng(length).integers(5, 120, size=length)


def _addresses(session: CausalSession) -> dict[str, int]:
    return {name: memory.data_ptr() for name, memory in session._cache._memory.items()}


def _rooms(session: CausalSession) -> set[int]:
    return {memory.shape()[2] for memory in session._cache._memory.values()}


def test_a_fused_graph_gets_a_cache_of_fixed_size_and_a_plain_one_a_growing_one(session, folder, monkeypatch):
    assert isinstance(session._cache, FixedCache)
    monkeypatch.setattr("harness.engines.export.FUSED", f"no-{FUSED}")
    assert isinstance(CausalSession(folder, "causal", Setup("fp32"))._cache, GrowingCache)


def test_the_cache_stays_at_its_address_and_is_written_there(session: CausalSession):
    session.prefill(_ids(12), 8)
    addresses = _addresses(session)
    assert len(addresses) == len(set(addresses.values())) == 4
    memory = session._cache._memory["past_key_values.1.value"]
    before = memory.numpy().copy()
    for token in range(5, 13):
        session.step(token)
    after = memory.numpy()
    assert _addresses(session) == addresses
    assert np.array_equal(after[:, :, :12], before[:, :, :12])
    assert (after[:, :, 12:20] != 0).any(axis=-1).all()


def test_the_room_that_a_generation_asked_for_is_what_its_cache_holds(session: CausalSession):
    session.prefill(_ids(12), 8)
    assert _rooms(session) == {20}


def test_a_longer_text_gets_a_larger_cache_and_a_shorter_one_keeps_it(session: CausalSession):
    session.prefill(_ids(6), 4)
    session.prefill(_ids(30), 10)
    assert _rooms(session) == {40}
    addresses = _addresses(session)
    session.prefill(_ids(6), 4)
    assert _addresses(session) == addresses


def test_what_a_longer_text_left_in_the_cache_is_not_read(session: CausalSession, folder: Path):
    fresh = CausalSession(folder, "causal", Setup("fp32"))
    session.prefill(_ids(40), 20)
    for token in range(5, 25):
        session.step(token)
    assert np.array_equal(session.prefill(_ids(6), 8), fresh.prefill(_ids(6), 8))
    for token in range(5, 13):
        assert session.step(token) == pytest.approx(fresh.step(token), abs=1e-5)


def test_a_larger_cache_has_the_steps_of_a_fresh_session(session: CausalSession, folder: Path):
    session.prefill(_ids(6), 4)
    session.step(7)
    fresh = CausalSession(folder, "causal", Setup("fp32"))
    for each in (session, fresh):
        each.prefill(_ids(30), 10)
    for token in range(5, 15):
        assert session.step(token) == pytest.approx(fresh.step(token), abs=1e-5)


def test_scoring_between_two_generations_changes_neither(session: CausalSession):
    first = [session.prefill(_ids(12), 4), session.step(7), session.step(8)]
    list(session.score(np.stack([_ids(24), _ids(24)]), np.array([3])))
    second = [session.prefill(_ids(12), 4), session.step(7), session.step(8)]
    assert np.stack(second) == pytest.approx(np.stack(first), abs=1e-5)


def test_logits_stay_as_they_were_given_after_the_next_step(session: CausalSession):
    given = [session.prefill(_ids(12), 4), session.step(7), session.step(8)]
    kept = [logits.copy() for logits in given]
    session.step(9)
    assert all(np.array_equal(one, other) for one, other in zip(given, kept, strict=True))
    assert not np.array_equal(kept[1], kept[2])
