"""onnxruntime: exported ONNX in fp32, fp16, dynamic int8 or 4-bit weights, with the KV cache bound in place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.checkpoint import Checkpoint
from harness.engines import export, onnx_quantise
from harness.engines.base import CHUNK, Ids, Logits, Session, Setup
from harness.engines.graph_session import GraphSession
from harness.engines.onnx_cache import FixedCache, GrowingCache
from harness.engines.onnx_fusion import SEQUENCE_LENGTHS, step_inputs
from harness.engines.onnx_graph import READ
from harness.errors import HarnessError, UnavailableError
from harness.records.environment import isa_flags

_PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


class OnnxRuntimeEngine:
    """ONNX on the CPU, or on CUDA where onnxruntime has that provider."""

    def prepare(self, checkpoint: Checkpoint, setup: Setup, store: ArtefactStore) -> Path:
        """See :class:`harness.engines.base.Engine`."""
        if setup.device == "cuda" and _PROVIDERS["cuda"][0] not in ort.get_available_providers():
            raise UnavailableError("this onnxruntime has no CUDA provider; run: pip install onnxruntime-gpu")
        if setup.precision == "int8":
            return onnx_quantise.dynamic_int8(checkpoint, store, isa_flags()).path
        if setup.precision == "int4":
            return onnx_quantise.four_bits(checkpoint, store).path
        if setup.precision == "fp16":
            return onnx_quantise.half(checkpoint, store).path
        return export.exported(checkpoint, store).path

    def open(self, folder: Path, family: str, setup: Setup) -> Session:
        """See :class:`harness.engines.base.Engine`."""
        sessions = {"causal": CausalSession, "masked": MaskedSession, "seq2seq": Seq2SeqSession}
        return sessions[family](folder, family, setup)


class _OnnxSession(GraphSession):
    """The graphs of a family, loaded."""

    def __init__(self, folder: Path, family: str, setup: Setup) -> None:
        super().__init__(folder, family, setup.device)
        self._graphs = [_load(file, setup) for file in export.graphs_of(folder, family, setup.device)]

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        self._graphs.clear()


class CausalSession(_OnnxSession):
    """One graph that takes and gives the KV cache."""

    def __init__(self, folder: Path, family: str, setup: Setup) -> None:
        super().__init__(folder, family, setup)
        fused = any(each.name == SEQUENCE_LENGTHS for each in self._graphs[0].get_inputs())
        self._cache = (FixedCache if fused else GrowingCache)(self._graphs[0], setup.device)
        self._length = 0

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        batch, length = ids.shape
        if length <= CHUNK:
            self._cache.clear(batch, length)
            yield self._cache.run(step_inputs(ids, 0, read))
            return
        for row, tokens in enumerate(ids):
            self._cache.clear(1, length)
            for start in range(0, length, CHUNK):
                stop = min(start + CHUNK, length)
                mine = read[(read >= row * length + start) & (read < row * length + stop)]
                yield self._cache.run(step_inputs(tokens[np.newaxis, start:stop], start, mine - row * length - start))

    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        self._length = len(ids)
        self._cache.clear(1, len(ids) + room)
        return _last(self._cache.run(step_inputs(ids[np.newaxis], 0, np.array([len(ids) - 1]))))

    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        self._length += 1
        logits: Logits = self._cache.step(token, self._length - 1)
        return logits

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        super().close()
        del self._cache


class MaskedSession(_OnnxSession):
    """One graph from ids to logits."""

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        graph = self._graphs[0]
        known = {each.name for each in graph.get_inputs()}
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
            READ: read,
        }
        yield graph.run(["logits"], {name: array for name, array in inputs.items() if name in known})[0]

    def encode(self, ids: Ids) -> None:
        """See :class:`harness.engines.base.Session`."""
        next(self.score(ids, np.arange(ids.size)))


class Seq2SeqSession(_OnnxSession):
    """An encoder, a decoder for the first step, and a decoder that takes the KV cache."""

    def __init__(self, folder: Path, family: str, setup: Setup) -> None:
        super().__init__(folder, family, setup)
        self._encoder, first, following = self._graphs
        self._first, self._following = GrowingCache(first, setup.device), GrowingCache(following, setup.device)
        self._source: dict[str, Any] = {}

    def score(self, ids: Ids, read: Ids, decoder_ids: Ids | None = None) -> Iterator[Logits]:
        """See :class:`harness.engines.base.Session`."""
        if decoder_ids is None:
            raise HarnessError("a seq2seq model scores decoder ids")
        self._encode(ids)
        yield self._first.run({**self._source, "input_ids": decoder_ids, READ: read})

    def prefill(self, ids: Ids, room: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        self._encode(ids[np.newaxis])
        start = np.array([[self._config["decoder_start_token_id"]]], dtype=np.int64)
        logits = _last(self._first.run({**self._source, "input_ids": start, READ: np.array([0])}))
        self._following.take_over(self._first)
        return logits

    def step(self, token: int) -> Logits:
        """See :class:`harness.engines.base.Session`."""
        tokens = np.array([[token]], dtype=np.int64)
        return _last(self._following.run({**self._source, "input_ids": tokens, READ: np.array([0])}))

    def close(self) -> None:
        """See :class:`harness.engines.base.Session`."""
        super().close()
        del self._encoder, self._first, self._following

    def _encode(self, ids: Ids) -> None:
        mask = np.ones_like(ids)
        hidden = self._encoder.run(["last_hidden_state"], {"input_ids": ids, "attention_mask": mask})[0]
        self._source = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}


def _last(logits: Any) -> Logits:
    row: Logits = logits[-1]
    return row


def _load(file: Path, setup: Setup) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = setup.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(file), options, providers=_PROVIDERS[setup.device])
    except Exception as error:  # onnxruntime's exception classes have no public base
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise HarnessError(f"onnxruntime cannot load {file.name}: {first}") from error
